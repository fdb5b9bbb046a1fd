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
