"""A refusal reads as its path has it, or as the caller asks for it."""

import json

import pytest

from septet.errors import Overloaded, Problem, invalid
from septet.protocols.http.error_responses import refused

WRONG = invalid([Problem(0, "age", "a number", '"old"')])
DETAILED = {b"septet-errors": b"detailed"}


@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v1/models/iris:predict", "/invocations", "/predict"])
def test_who_asks_for_details_is_told_them_on_every_path(path: str) -> None:
    reply = refused(WRONG, path, DETAILED)
    fault = json.loads(reply.body)["error"]
    assert reply.status == 422
    assert (fault["code"], fault["id"]) == ("invalid", reply.id)
    assert fault["details"] == [{"row": 0, "column": "age", "expected": "a number", "received": '"old"'}]


@pytest.mark.parametrize("headers", [{}, {b"septet-errors": b""}, {b"septet-errors": b"brief"}])
def test_who_does_not_is_answered_in_the_dialect_of_the_path(headers: dict[bytes, bytes]) -> None:
    reply = refused(WRONG, "/v2/models/iris/infer", headers)
    assert reply.status == 400
    assert json.loads(reply.body) == {"error": WRONG.message}


def test_details_do_not_change_the_headers() -> None:
    assert refused(Overloaded("Full.", 3), "/v2", DETAILED).headers == ((b"retry-after", b"3"),)


@pytest.mark.parametrize("path", ["/invocations", "/models/iris/invocations", "/models/odd name/invocations"])
def test_a_path_that_names_the_model_has_the_dialect_of_the_short_one(path: str) -> None:
    reply = refused(WRONG, path, {})
    assert reply.status == 400
    assert json.loads(reply.body) == {"error_code": "INVALID_PARAMETER_VALUE", "message": WRONG.message}


@pytest.mark.parametrize("path", ["/models/iris/predict", "/models/invocations/predict", "/v20", "/invocationsx"])
def test_all_other_paths_have_the_native_body(path: str) -> None:
    reply = refused(WRONG, path, {})
    assert reply.status == 422
    assert json.loads(reply.body)["error"]["code"] == "invalid"
