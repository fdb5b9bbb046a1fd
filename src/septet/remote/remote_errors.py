"""A reply that is no answer, or none at all -> the error that it tells of.

Septet's own bodies name the code and the problems; calls ask for them with the header `septet-errors`. Others, such as
a balancer's, have a status only.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from septet import errors
from septet.protocols.http.error_bodies import STATUS, ErrorEnvelope
from septet.remote.remote_calls import CallFailure, WireReply

SHOWN = 200  # characters of a body that is not ours
LONGEST_WAIT = 3600.0  # seconds; a server that wants more is not waited for
RETRIED = ("overloaded", "rate_limited", "unavailable")

_CLASSES: dict[str, type[errors.SeptetError]] = {
    each.code: each for each in errors.SeptetError.__subclasses__() if each is not errors.StartupError
}
_CODES = {status: code for code, status in STATUS.items()} | {
    STATUS["malformed"]: "invalid",
    STATUS["internal"]: "internal",
    502: "unavailable",
}
_envelope = msgspec.json.Decoder(ErrorEnvelope)


class _PlainError(msgspec.Struct):
    error: str


_plain = msgspec.json.Decoder(_PlainError)


def failure_of(reply: WireReply, origin: str) -> CallFailure:
    """The error of a reply that is none of a prediction; `origin` is the server that sent it."""
    after = _seconds(reply.headers.get("retry-after"))
    try:
        fault = _envelope.decode(reply.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        code = _CODES.get(reply.status, "internal")
        error = _error(code, _message(reply, origin), (), after)
        error.request_id = reply.headers.get("x-request-id")
    else:
        code = fault.code
        error = _error(code, fault.message, tuple(fault.details), after)
        error.request_id = fault.id
    retryable = code in RETRIED and reply.status in (STATUS["overloaded"], STATUS["unavailable"])
    return CallFailure(error, retryable, after)


def job_failure(job: Mapping[str, Any]) -> errors.SeptetError:
    """Why a job that has ended has no answer; `job` is the document of it."""
    said = job.get("error")
    if job["state"] != "failed" or said is None:
        error: errors.SeptetError = errors.Gone(f"The job {job['job_id']} is {job['state']} and has no answer.")
    else:
        problems: tuple[errors.Problem, ...] = ()
        with contextlib.suppress(msgspec.ValidationError):
            problems = tuple(msgspec.convert(job.get("answer", {}).get("body"), ErrorEnvelope).error.details)
        error = _error(said["code"], said["message"], problems, 0.0)
    error.request_id = job.get("id")
    return error


def unreachable(origin: str, reason: object) -> CallFailure:
    """No connection could be made: nothing was sent."""
    return CallFailure(errors.Unavailable(f"{origin} could not be reached: {reason}"), retryable=True)


def late(origin: str, seconds: float) -> CallFailure:
    """The time is over."""
    return CallFailure(errors.DeadlineExceeded(f"{origin} did not answer within {seconds:.3g} seconds."))


def broken(origin: str, reason: object) -> CallFailure:
    """The request may have been answered, so it is not sent again."""
    text = f"The connection to {origin} broke before the answer was complete: {reason}"
    return CallFailure(errors.Unavailable(text))


def disconnected(origin: str, reason: object) -> CallFailure:
    """The server closed a kept connection before any byte of an answer: as a rule it had not read the request.

    Had it read it, no harm is done: a prediction changes nothing.
    """
    return CallFailure(broken(origin, reason).error, retryable=True, at_once=True)


def _error(code: str, message: str, problems: tuple[errors.Problem, ...], after: float) -> errors.SeptetError:
    kind = _CLASSES.get(code, errors.SeptetError)
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed(message, "")
    if kind in (errors.Overloaded, errors.RateLimited):
        return kind(message, int(after) or 1)
    return kind(message, problems)


def _message(reply: WireReply, origin: str) -> str:
    try:
        return _plain.decode(reply.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = bytes(reply.body[:SHOWN]).decode("utf-8", "replace")
        return f"{origin} answered with the status {reply.status}: {text}"


def _seconds(header: str | None) -> float:
    """Seconds of a `retry-after`; a date, which Septet never sends, is taken for none."""
    if header is None or not (header.isascii() and header.isdigit()):
        return 0.0
    return min(float(header), LONGEST_WAIT)
