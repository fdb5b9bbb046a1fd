"""What is no answer -> the error it tells of.

Septet's own bodies name the code and the problems; the client asks for them with the header `septet-errors`. Others,
such as a balancer's, have a status only, and some questions get no reply at all.
"""

import msgspec

from septet import errors
from septet.client.questions import Failure, Reply
from septet.protocols.http.error_bodies import STATUS, ErrorEnvelope

SHOWN = 200  # characters of a body that is not ours
LONGEST_WAIT = 3600.0  # seconds; a server that wants more is not waited for
RETRIED = ("overloaded", "unavailable")

_CLASSES: dict[str, type[errors.SeptetError]] = {
    each.code: each for each in errors.SeptetError.__subclasses__() if each is not errors.StartupError
}
_CODES = {status: code for code, status in STATUS.items()} | {
    STATUS["malformed"]: "invalid",
    STATUS["internal"]: "internal",
    502: "unavailable",
}
_envelope = msgspec.json.Decoder(ErrorEnvelope)


class _Plain(msgspec.Struct):
    error: str


_plain = msgspec.json.Decoder(_Plain)


def failure(reply: Reply, address: str) -> Failure:
    """What a reply that is no answer says; `address` is who gave it."""
    after = _seconds(reply.headers.get("retry-after"))
    try:
        fault = _envelope.decode(reply.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        code = _CODES.get(reply.status, "internal")
        error = _error(code, _message(reply, address), (), after)
        error.request_id = reply.headers.get("x-request-id")
    else:
        code = fault.code
        error = _error(code, fault.message, tuple(fault.details), after)
        error.request_id = fault.id
    again = code in RETRIED and reply.status in (STATUS["overloaded"], STATUS["unavailable"])
    return Failure(error, again, after)


def unreachable(address: str, reason: object) -> Failure:
    """No connection could be made: nothing was sent."""
    return Failure(errors.Unavailable(f"{address} could not be reached: {reason}"), again=True)


def late(address: str, seconds: float) -> Failure:
    """The time is over."""
    return Failure(errors.DeadlineExceeded(f"{address} did not answer within {seconds:.3g} seconds."))


def broken(address: str, reason: object) -> Failure:
    """The request may have been answered, so it is not sent again."""
    text = f"The connection to {address} broke before the answer was complete: {reason}"
    return Failure(errors.Unavailable(text))


def _error(code: str, message: str, problems: tuple[errors.Problem, ...], after: float) -> errors.SeptetError:
    kind = _CLASSES.get(code, errors.SeptetError)
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed(message, "")
    if kind is errors.Overloaded:
        return errors.Overloaded(message, int(after) or 1)
    return kind(message, problems)


def _message(reply: Reply, address: str) -> str:
    try:
        return _plain.decode(reply.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = bytes(reply.body[:SHOWN]).decode("utf-8", "replace")
        return f"{address} answered with the status {reply.status}: {text}"


def _seconds(header: str | None) -> float:
    """Seconds of a `retry-after`; a date, which Septet never sends, is taken for none."""
    if header is None or not (header.isascii() and header.isdigit()):
        return 0.0
    return min(float(header), LONGEST_WAIT)
