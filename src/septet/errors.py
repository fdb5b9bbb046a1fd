"""Every error Septet raises on purpose, by the side at fault and the step that failed.

A request flows `bytes -> decode -> validate -> run -> encode -> bytes`. The classes carry a neutral `code`;
`septet.protocols.http.error_bodies` maps codes to HTTP and gRPC. Nothing here knows a protocol.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from septet.printable import printable_lines

if TYPE_CHECKING:
    # The command line needs errors, and should not wait for numpy.
    from septet.types import Identity

MOST_PROBLEMS = 20


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a request: where it is, what was expected there and what was received.

    `row` counts from 0. `column` is the column's or tensor's name. Either is None where it does not apply.
    """

    row: int | None
    column: str | None
    expected: str
    received: str


class SeptetError(Exception):
    """The root. Its text is shown to people, so it says what was wrong, where, and what to do.

    `request_id` and `model` are set once the id of the request at fault, and the model that it was for, are known.
    """

    code: ClassVar[str] = "internal"
    request_id: str | None = None
    model: "Identity | None" = None

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        # A caller's or a model's own text may be quoted in them, and hold half of a surrogate pair, which no encoding
        # can carry, or what commands a terminal.
        self.message = printable_lines(message)
        self.problems = tuple(map(_encodable_problem, problems)) if problems else ()


def _encodable_problem(problem: Problem) -> Problem:
    column = None if problem.column is None else _encodable(problem.column)
    return Problem(problem.row, column, printable_lines(problem.expected), printable_lines(problem.received))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


# The caller's side.


class Malformed(SeptetError):
    """Raised when bytes cannot be decoded: bad JSON, bad UTF-8, duplicate keys, a bad header."""

    code = "malformed"


class Unauthenticated(SeptetError):
    """Raised when a request has no API key, or none that is known here."""

    code = "unauthenticated"


class RateLimited(SeptetError):
    """Raised when an API key has asked for more than its limits allow; `retry_after` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Misdirected(SeptetError):
    """Raised when a request names a host that this server is not."""

    code = "misdirected"


class NotFound(SeptetError):
    """Raised when a path, model, version or label map does not exist."""

    code = "not_found"


class MethodNotAllowed(SeptetError):
    """Raised when the path exists but not for this method."""

    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class Unimplemented(SeptetError):
    """Raised when a call asks for a method, or a form of it, that there is not."""

    code = "unimplemented"


class Conflict(SeptetError):
    """Raised when what is asked for does not fit what is served now."""

    code = "conflict"


class Gone(SeptetError):
    """Raised when something was here and is no longer kept."""

    code = "gone"


class TooLarge(SeptetError):
    """Raised when a body, or the answer of a job, is over its limit of bytes."""

    code = "too_large"


class UnsupportedMediaType(SeptetError):
    """Raised when the content type or encoding is not one the route reads."""

    code = "unsupported_media_type"


class Invalid(SeptetError):
    """Raised when decoded values break the model's signature, or the model cannot compute them."""

    code = "invalid"


def invalid(problems: Sequence[Problem], noun: str = "column") -> Invalid:
    """The error for values that do not fit the signature: the first problem in words, up to 20 in its details.

    `noun` says what `Problem.column` names: a column, an input or a key.
    """
    first = problems[0]
    where = [f"row {first.row}"] if first.row is not None else []
    if first.column is not None:
        where.append(f"{noun} {first.column!r}")
    place = f" in {', '.join(where)}" if where else ""
    more = f" ({len(problems) - 1} more in details)" if len(problems) > 1 else ""
    message = f"Expected {first.expected}{place}, received {first.received}{more}."
    return Invalid(message, tuple(problems[:MOST_PROBLEMS]))


class TimedOut(SeptetError):
    """Raised when the caller was too slow in sending its request."""

    code = "request_timeout"


class Cancelled(SeptetError):
    """Raised when the caller gave up before its request was complete; nobody reads the reply."""

    code = "cancelled"


class HeadersTooLarge(SeptetError):
    """Raised when the request's headers are over their limits of bytes or count."""

    code = "headers_too_large"


# The server's side, while serving.


class Overloaded(SeptetError):
    """Raised when more requests wait than the limit allows; `retry_after` is in seconds."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(SeptetError):
    """Raised when the server is starting, draining or without a sound model."""

    code = "unavailable"


class DeadlineExceeded(SeptetError):
    """Raised when the answer was not ready before the request's deadline."""

    code = "deadline_exceeded"


class ModelFailed(SeptetError):
    """Raised when the model failed on input that is valid, or broke its own signature."""

    code = "model_failed"


# Before serving: each stops a start-up, none is ever answered to a caller.


class StartupError(SeptetError):
    """Raised when a model, package or setting cannot be served. The root of what `septet` exits with."""

    code = "startup"


class ModelNotFound(StartupError):
    """Raised when the path to serve does not exist."""


class UnsupportedModel(StartupError):
    """Raised when no runtime reads the artefact, or its graph has parts that cannot be served."""


class DamagedModel(StartupError):
    """Raised when the artefact cannot be read: truncated, empty, or not what its name says."""


class DigestMismatch(StartupError):
    """Raised when a file's bytes are not those the manifest declares."""


class Untrusted(StartupError):
    """Raised when loading would execute code that was not trusted explicitly."""


class PackageInvalid(StartupError):
    """Raised when a package's manifest is missing, unreadable or contradicts its files."""


class LabelsMismatch(StartupError):
    """Raised when a label file is missing, unreadable or does not fit the model's output."""


class FallbackInvalid(StartupError):
    """Raised when the answer to give in place of a model does not fit the model's outputs."""


class VersionsMismatch(StartupError):
    """Raised when the libraries here cannot run what others trained."""


class GoldenMismatch(StartupError):
    """Raised when the model does not reproduce the answers it gave when it was packed."""


class StaleModel(StartupError):
    """Raised when the training data is older than the policy allows."""


class MissingExtra(StartupError):
    """Raised when an optional dependency is needed and not installed; the message names the extra."""


class SettingsInvalid(StartupError):
    """Raised when a setting is unknown or cannot be read; the message names its key and source."""
