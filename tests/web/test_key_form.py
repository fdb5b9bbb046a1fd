"""The try-out page of a service that asks for an API key."""

from collections.abc import Iterator

import pytest

from tests.waiting import until
from tests.web.browser import Browser
from tests.web.conftest import PAGE_KEY


@pytest.fixture
def keyless(browser: Browser, address: str) -> Iterator[Browser]:
    """The browser before the page of such a service, without a key."""
    browser.driver.get(f"{address}/keyed/docs")
    browser.driver.execute_script("sessionStorage.clear()")
    browser.driver.get(f"{address}/keyed/docs")
    browser.find("#key-form")
    yield browser
    browser.driver.execute_script("sessionStorage.clear()")


def give(browser: Browser, key: str) -> None:
    browser.write("#key", key)
    browser.click("#key-form .primary")


def test_the_page_asks_for_a_key_and_then_shows_the_model(keyless: Browser) -> None:
    assert keyless.find("#key").get_attribute("type") == "password"
    give(keyless, PAGE_KEY)
    keyless.find("body[data-ready]")
    assert keyless.find("h1").text == "iris"
    keyless.click("[role=tabpanel]:not([hidden]) .primary")
    assert keyless.find("#answer .big").text == "setosa"
    assert PAGE_KEY not in keyless.driver.current_url
    assert PAGE_KEY not in keyless.driver.page_source


def test_a_wrong_key_is_said_to_be_wrong_and_asked_for_again(keyless: Browser) -> None:
    give(keyless, "not-one-of-the-keys")
    until(lambda: keyless.find("#key-problem").text == "This key is not accepted.")
    give(keyless, "no key")
    assert "letters, digits" in keyless.find("#key-problem").text
    give(keyless, PAGE_KEY)
    keyless.find("body[data-ready]")


def test_the_key_is_kept_while_the_tab_is_open(keyless: Browser, address: str) -> None:
    give(keyless, PAGE_KEY)
    keyless.find("body[data-ready]")
    keyless.open(f"{address}/keyed/")
    assert keyless.find("h1").text == "iris"
    assert not keyless.all("#key-form")


def test_commands_in_the_reference_name_the_key_where_one_is_needed(keyless: Browser) -> None:
    give(keyless, PAGE_KEY)
    keyless.find("body[data-ready]")
    routes = keyless.all(".route")
    for route in routes:
        keyless.driver.execute_script("arguments[0].open = true", route)
    until(lambda: len(keyless.all(".route-body")) == len(routes))
    commands = [
        each.get_attribute("textContent") or "" for each in keyless.all(".route-body > .code:nth-of-type(1) code")
    ]
    shown = {each.split()[2].rpartition("/keyed")[2]: "Bearer $API_KEY" in each for each in commands if each}
    assert shown["/predict"]
    assert not shown["/health/live"]
