"""Replies that are no answers become errors of septet.errors, by code where there is one, else by status."""

import pytest

from septet import errors
from septet.errors import Problem, SeptetError
from septet.protocols.http.error_bodies import STATUS, envelope
from septet.remote.remote_calls import WireReply
from septet.remote.remote_errors import failure_of

AT = "http://host:8000"


def all_codes() -> list[str]:
    """Every code that is answered to a caller."""
    return [code for code in STATUS if code != "cancelled"]


@pytest.mark.parametrize("code", all_codes())
def test_a_detailed_error_is_raised_as_the_class_of_its_code(code: str) -> None:
    problems = (Problem(0, "age", "a number", '"old"'),)
    told = failure_of(WireReply(STATUS[code], {}, envelope(code, "Wrong.", problems, "id-1")), AT).error
    assert told.code == code
    assert told.message == "Wrong."
    assert told.request_id == "id-1"
    if code == "invalid":
        assert isinstance(told, errors.Invalid)
        assert told.problems == problems


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (404, errors.NotFound),
        (405, errors.MethodNotAllowed),
        (413, errors.TooLarge),
        (429, errors.Overloaded),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.DeadlineExceeded),
        (302, SeptetError),
        (418, SeptetError),
        (500, SeptetError),
    ],
)
def test_a_plain_error_is_raised_by_its_status(status: int, kind: type[SeptetError]) -> None:
    told = failure_of(WireReply(status, {"x-request-id": "id-2"}, b'{"error": "No."}'), AT).error
    assert type(told) is kind
    assert (told.message, told.request_id) == ("No.", "id-2")


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b'{"error": 7}', b"[" * 100_000])
def test_what_a_stranger_answers_is_shown(body: bytes) -> None:
    told = failure_of(WireReply(502, {}, body), AT)
    assert isinstance(told.error, errors.Unavailable)
    assert told.error.message.startswith("http://host:8000 answered with the status 502: ")
    assert len(told.error.message) < 300
    assert not told.retryable


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (429, "overloaded", True),
        (503, "unavailable", True),
        (500, "internal", False),
        (504, "deadline_exceeded", False),
    ],
)
def test_only_refusals_for_load_and_for_not_being_ready_are_worth_another_try(
    status: int,
    code: str,
    again: bool,  # noqa: FBT001
) -> None:
    assert failure_of(WireReply(status, {}, envelope(code, "No.", (), "i")), AT).retryable is again


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0", 0.0), ("Wed, 25 Nov 2026 17:00:00 GMT", 0.0), ("-1", 0.0), ("9" * 40, 3600.0)],
)
def test_a_server_says_for_how_long_it_wants_to_be_left_alone(header: str, seconds: float) -> None:
    assert failure_of(WireReply(429, {"retry-after": header}, b""), AT).after == seconds


def test_an_overload_tells_its_caller_when_to_come_back() -> None:
    told = failure_of(WireReply(429, {"retry-after": "7"}, b'{"error": "Full."}'), AT).error
    assert isinstance(told, errors.Overloaded)
    assert told.retry_after == 7
