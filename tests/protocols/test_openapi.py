"""OpenAPI is valid, typed by this very model, and its examples hold under its own schemas."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.http.error_bodies import STATUS
from septet.service import Service
from tests.budgets import examples
from tests.protocols import models

SERVICES = models.every_kind()
each_kind = pytest.mark.parametrize("name", SERVICES)


def document(service: Service, root_path: str = "") -> dict[str, Any]:
    return models.document(service, root_path=root_path)


def accepts(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    validator = Draft202012Validator({**schema, "components": document["components"]})
    return bool(validator.is_valid(value))


def content(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    return found


def body(document: dict[str, Any], value: Any) -> bool:
    return accepts(document, content(document)["application/json"]["schema"], value)


def check_examples(document: dict[str, Any]) -> None:
    """Hold every example of a body or an answer against the schema beside it."""
    pending: list[Any] = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, dict) and "schema" in node:
            values = [node["example"]] if "example" in node else []
            values += [each["value"] for each in node.get("examples", {}).values()]
            for value in values:
                assert accepts(document, node["schema"], value), value
        pending += list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


@each_kind
def test_document_is_valid_under_an_independent_validator(name: str) -> None:
    OpenAPIV31SpecValidator(document(SERVICES[name])).validate()


@each_kind
def test_every_example_holds_under_its_schema(name: str) -> None:
    check_examples(document(SERVICES[name]))


@each_kind
def test_body_schemas_refuse_an_empty_object_and_unknown_keys(name: str) -> None:
    made = document(SERVICES[name])
    examples = content(made)["application/json"]["examples"]
    assert not body(made, {})
    assert not body(made, {**examples["inputs"]["value"], "rows": 1})


def test_declared_width_changes_the_schema_of_rows() -> None:
    four, five = document(models.classifier(4)), document(models.classifier(5))
    assert body(four, {"data": [[1, 2, 3, 4]]})
    assert not body(four, {"data": [[1, 2, 3, 4, 5]]})
    assert body(five, {"data": [[1, 2, 3, 4, 5]]})
    assert not body(five, {"data": [[1, 2, 3, 4]]})
    assert "c4" in five["components"]["schemas"]["Record"]["properties"]


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"age": 121}, False),
        ({"age": -1}, False),
        ({"age": 1.5}, False),
        ({"age": None}, False),
        ({"fare": 1.5}, True),
        ({"fare": None}, True),
        ({"fare": -0.1}, False),
        ({"sex": "male"}, True),
        ({"sex": "other"}, False),
        ({"deck": "Z"}, True),
        ({"deck": None}, True),
        ({"alone": 1}, False),
        ({"extra": 1}, False),
    ],
)
def test_records_are_typed_by_their_columns(change: dict[str, Any], *, valid: bool) -> None:
    record = {"age": 30, "fare": 2.0, "sex": "female", "deck": "A", "alone": False, **change}
    made = document(models.mixed())
    assert body(made, {"records": [record]}) is valid
    if len(record) == 5:
        assert body(made, {"data": [list(record.values())]}) is valid


def test_a_single_column_takes_bare_values() -> None:
    made = document(models.regressor())
    assert body(made, {"data": [1.0, 2.0]})
    assert body(made, {"data": [[1.0], [2.0]]})
    assert not body(made, {"data": [[1.0, 2.0]]})


def test_a_float32_column_refuses_what_float32_cannot_hold() -> None:
    made = document(models.classifier())
    assert body(made, {"data": [[3.4e38, 0, 0, 0]]})
    assert not body(made, {"data": [[3.5e38, 0, 0, 0]]})


def test_rows_are_bounded_by_the_limit() -> None:
    made = document(models.regressor())
    assert not body(made, {"data": []})
    assert body(made, {"data": [1.0] * models.LIMITS.max_rows})
    assert not body(made, {"data": [1.0] * (models.LIMITS.max_rows + 1)})


def test_a_wide_row_of_equal_columns_is_described_once() -> None:
    row = document(models.classifier(300))["components"]["schemas"]["DataBody"]["properties"]["data"]["items"]
    assert row == {"type": "array", "minItems": 300, "maxItems": 300, "items": {"$ref": "#/components/schemas/Value"}}


def test_a_model_without_rows_takes_inputs_only() -> None:
    made = document(SERVICES["one unit"])
    assert list(content(made)) == ["application/json"]
    assert list(content(made)["application/json"]["examples"]) == ["inputs"]


def test_csv_and_npy_are_offered_where_they_can_be_read() -> None:
    offered = {name: set(content(document(each))) for name, each in SERVICES.items()}
    assert offered["classifier"] == {"application/json", "text/csv", "application/octet-stream", "application/x-npy"}
    assert offered["mixed"] == {"application/json", "text/csv"}
    assert offered["tensors"] == {"application/json"}


def test_the_csv_example_has_a_header_and_an_empty_cell_for_null() -> None:
    text = content(document(models.mixed()))["text/csv"]["example"]
    assert text == "age,fare,sex,deck,alone\n29,,female,,True\n"


def test_top_is_offered_where_there_are_scores() -> None:
    parameters = document(models.classifier())["paths"]["/predict/label"]["post"]["parameters"]
    assert [each["schema"]["maximum"] for each in parameters if each.get("name") == "top"] == [1000]
    parameters = document(SERVICES["unnamed labels"])["paths"]["/predict/label"]["post"]["parameters"]
    assert not [each for each in parameters if each.get("name") == "top"]


def test_the_prefix_of_a_server_in_front_is_the_server_url() -> None:
    assert document(models.classifier(), "/iris")["servers"] == [{"url": "/iris"}]


def test_every_error_code_has_the_status_of_the_one_table() -> None:
    made = document(models.classifier())
    statuses = {
        each["$ref"].rpartition("/")[2]: int(status)
        for path in made["paths"].values()
        for operation in path.values()
        for status, each in operation["responses"].items()
        if "$ref" in each
    }
    assert statuses
    assert statuses == {code: STATUS[code] for code in statuses}


def test_answers_name_the_model_in_their_headers() -> None:
    made = document(models.classifier())
    headers = made["paths"]["/predict"]["post"]["responses"]["200"]["headers"]
    named = {"septet-model", "septet-model-version", "septet-model-digest"}
    assert set(headers) == {"x-request-id", "septet-flags", *named}


def test_a_model_without_a_sample_has_no_examples() -> None:
    known = models.classifier()
    made = document(msgspec.structs.replace(known, sample=None, answer=None, expected=None))
    OpenAPIV31SpecValidator(made).validate()
    assert "examples" not in content(made)["application/json"]


NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)
VALUES = {"b": True, "u": 7, "i": -7, "f": 0.25, "O": b"bytes", "M": np.datetime64("2026-01-31T12:00:00")}


def _value(dtype: str) -> Any:
    return "text" if dtype == "string" else VALUES[DTYPES[dtype].kind]


@st.composite
def services(draw: st.DrawFn) -> Service:
    """A service of any signature whose sample fits it."""
    rows = draw(st.booleans())
    inputs, sample = [], {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        dtype = draw(st.sampled_from(sorted(DTYPES)))
        shape = draw(st.lists(st.none() | st.integers(1, 3), max_size=3))
        shape = [None, *shape] if rows else shape
        named = rows and len(shape) == 2 and shape[1] is not None
        names = draw(st.lists(NAMES, min_size=shape[1] or 0, max_size=shape[1], unique=True)) if named else []
        given = tuple(Column(each, dtype, nullable=draw(st.booleans())) for each in names)
        inputs.append(Tensor(name, dtype, tuple(shape), given))
        sample[name] = np.full([size or 1 for size in shape], _value(dtype), DTYPES[dtype])
    output = Tensor("out", draw(st.sampled_from(sorted(DTYPES))), (None, 2))
    kind = draw(st.sampled_from([Kind.TENSORS, Kind.REGRESSION, Kind.TRANSFORM]))
    signature = Signature(kind, tuple(inputs), (output,), rows=rows)
    return models.service(signature, sample, {"out": [[_value(output.dtype)] * 2]})


@given(services())
@settings(max_examples=examples(15), deadline=None)
def test_any_signature_gives_a_valid_document_whose_examples_hold(service: Service) -> None:
    made = document(service)
    OpenAPIV31SpecValidator(made).validate()
    check_examples(made)


def test_several_models_have_one_document_with_the_paths_and_schemas_of_each() -> None:
    services = [
        msgspec.structs.replace(each, identity=msgspec.structs.replace(each.identity, name=name))
        for name, each in (
            ("iris", models.classifier()),
            ("digits", models.classifier(64)),
            ("odd name", models.mixed()),
        )
    ]
    made = models.document(*services)
    OpenAPIV31SpecValidator(made).validate()
    check_examples(made)
    assert made["info"]["title"] == "Septet, 3 models"
    for name in ("iris", "digits", "odd%20name"):
        for path in ("/models/{}/predict", "/models/{}/metadata", "/v2/models/{}/infer", "/v1/models/{}:predict"):
            assert path.format(name) in made["paths"]
    assert "/predict" not in made["paths"]
    assert "/health" in made["paths"]
    width = {name: len(made["components"]["schemas"][f"{name}.Record"]["properties"]) for name in ("iris", "digits")}
    assert width == {"iris": 4, "digits": 64}
    names = [each["operationId"] for path in made["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)


def test_the_flags_of_an_answer_are_described() -> None:
    made = document(models.classifier())
    assert "flags" in made["components"]["schemas"]["Prediction"]["properties"]
    assert "septet-flags" in made["paths"]["/predict"]["post"]["responses"]["200"]["headers"]
