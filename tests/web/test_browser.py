"""The try-out page in a real browser, under a mount prefix, before the real application."""

import json

import pytest

from tests.protocols import models
from tests.web.browser import Browser

KINDS = sorted(name.replace(" ", "-") for name in models.every_kind())


def predict(browser: Browser) -> None:
    browser.click("[role=tabpanel]:not([hidden]) .primary")


def test_the_page_shows_who_the_model_is(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    assert browser.find("h1").text == "iris"
    assert "version 1.2.0" in browser.find("#facts").text
    assert "sha256:a1a1" in browser.find("#facts").text
    assert "virginica" in browser.find("#card").text
    assert "150 rows" in browser.find("#card").text


def test_the_sample_predicts_as_it_stands(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    assert browser.find("#field-0").get_attribute("value") == "5.1"
    predict(browser)
    assert browser.find("#answer .big").text == "setosa"
    scores = [each.text for each in browser.all(".bars .score")]
    assert scores == ["0.9717", "0.0164", "0.0119"]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_model_predicts_its_sample(name: str, browser: Browser, address: str) -> None:
    browser.open(f"{address}/{name}/")
    predict(browser)
    assert browser.find("#answer h3").text == "Prediction"
    assert not browser.all("#answer .notice")


def test_an_error_stands_beside_its_field(browser: Browser, address: str) -> None:
    browser.open(f"{address}/mixed/docs")
    browser.write("#field-0", "1.5")
    predict(browser)
    assert "received 1.5" in browser.find("#field-0-problem").text
    assert browser.find("#field-0").get_attribute("aria-invalid") == "true"
    assert "422 invalid" in browser.find("#answer").text
    browser.write("#field-0", "31")
    predict(browser)
    browser.find("#answer .big")
    assert not browser.find("#field-0").get_attribute("aria-invalid")


def test_an_empty_number_is_asked_for(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    browser.write("#field-1", "")
    predict(browser)
    assert browser.find("#field-1-problem").text == "Enter a number."


def test_a_field_is_a_choice_or_null_where_the_column_says_so(browser: Browser, address: str) -> None:
    browser.open(f"{address}/mixed/docs")
    assert [each.text for each in browser.all("#field-2 option")] == ["female", "male"]
    assert not browser.find("#field-1").is_enabled()
    browser.click("#field-1-null")
    assert browser.find("#field-1").is_enabled()


def test_csv_rows_are_answered_as_a_table(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    browser.click("#tab-2")
    browser.find("#csv").send_keys("6,3,4,1\n")
    predict(browser)
    browser.find("#answer thead th")
    assert [each.text for each in browser.all("#answer thead th")] == [
        "row",
        "label",
        "setosa",
        "versicolor",
        "virginica",
    ]
    assert len(browser.all("#answer tbody tr")) == 2


def test_a_broken_body_is_explained(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    browser.click("#tab-1")
    browser.write("#json", '{"data": [[1, 2')
    predict(browser)
    assert "400 malformed" in browser.find("#answer .notice").text


def test_a_model_without_columns_has_its_sample_as_json(browser: Browser, address: str) -> None:
    browser.open(f"{address}/tensors/docs")
    assert list(json.loads(browser.find("#json").get_attribute("value") or "")) == ["inputs"]
    assert not browser.all("#tabs [role=tab]:nth-child(2)")


def test_a_wide_model_fits_the_window(browser: Browser, address: str) -> None:
    browser.open(f"{address}/digits/docs")
    assert len(browser.all(".field")) == 64
    page, window = browser.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert page <= window


def test_every_route_is_described_with_a_curl_line(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    paths = [each.text for each in browser.all(".route > summary code")]
    assert {"/predict", "/predict/label", "/metadata", "/health/ready", "/metrics"} <= set(paths)
    browser.click(".route > summary")
    assert f"curl -s {address}/iris/predict" in browser.find(".route-body pre").text
    assert "sepal length" in browser.find(".tree").text


def test_every_field_and_button_has_a_name(browser: Browser, address: str) -> None:
    browser.open(f"{address}/mixed/docs")
    nameless = browser.driver.execute_script(
        "return [...document.querySelectorAll('input, select, textarea, button')].filter((each) =>"
        " !each.textContent.trim() && !each.labels?.length && !each.ariaLabel).map((each) => each.outerHTML)"
    )
    assert nameless == []


def test_several_models_are_listed_to_choose_from(browser: Browser, address: str) -> None:
    browser.open(f"{address}/several/")
    assert browser.find("h1").text == "3 models"
    assert [each.text for each in browser.all(".models strong")] == ["iris", "price", "mixed"]
    assert not browser.find("main").find_element("id", "try").is_displayed()
    paths = [each.text for each in browser.all(".route > summary code")]
    assert {"/models", "/health/ready", "/v1/models", "/v2/models/stats", "/metrics"} <= set(paths)
    assert not [path for path in paths if "iris" in path]


def test_one_of_several_models_is_chosen_left_and_tried_out(browser: Browser, address: str) -> None:
    browser.open(f"{address}/several/docs")
    browser.click(".models li:nth-child(3) a")
    browser.find("body[data-ready] #facts li")
    assert browser.driver.current_url == f"{address}/several/docs?model=mixed"
    assert browser.find("h1").text == "mixed"
    assert browser.find(".choice [aria-current=page]").text == "mixed"
    browser.click(".choice > a")
    browser.find(".models")
    assert browser.driver.current_url == f"{address}/several/docs"
    browser.driver.back()
    browser.find("#field-0")
    predict(browser)
    assert browser.find("#answer .big").text == "survived"


def test_the_routes_of_one_of_several_models_are_described_without_the_others(browser: Browser, address: str) -> None:
    browser.open(f"{address}/several/docs?model=price")
    paths = [each.text for each in browser.all(".route > summary code")]
    assert {"/models/price/predict", "/v1/models/price:predict", "/v2/models/price/infer", "/metrics"} <= set(paths)
    assert not [path for path in paths if "iris" in path or "mixed" in path]
    browser.click(".route > summary")
    assert f"curl -s {address}/several/models/price/predict" in browser.find(".route-body pre").text
    assert browser.find(".tree").text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("several/?model=other", "There is no model other here."),
        ("partly/?model=broken", "The model broken could not be loaded: broken.onnx is not an ONNX model"),
    ],
)
def test_a_model_that_cannot_be_chosen_is_told_of_beside_the_list(
    path: str, text: str, browser: Browser, address: str
) -> None:
    browser.open(f"{address}/{path}")
    assert browser.find("#failure").text == text
    assert browser.find(".models strong").text == "iris"


def test_a_model_beside_one_that_is_missing_predicts(browser: Browser, address: str) -> None:
    browser.open(f"{address}/partly/docs")
    assert "not loaded" in browser.find(".models li:nth-child(2)").text
    browser.click(".models a")
    browser.find("body[data-ready] #facts li")
    assert browser.find(".choice .bad").text == "broken: not loaded"
    predict(browser)
    assert browser.find("#answer .big").text == "setosa"
