"""One table from neutral error codes to what each protocol answers (C-4), and the native error body."""

from collections.abc import Sequence

import msgspec

from septet.errors import Problem

# code -> HTTP status. A code that is not here is a fault of ours: 500.
STATUS: dict[str, int] = {
    "malformed": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "overloaded": 429,
    "headers_too_large": 431,
    "cancelled": 499,
    "internal": 500,
    "model_failed": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}


class Fault(msgspec.Struct, frozen=True):
    """What an error says on the native routes."""

    code: str
    message: str
    details: Sequence[Problem]
    id: str


class Envelope(msgspec.Struct, frozen=True):
    """The body of every error on the native routes."""

    error: Fault


def envelope(code: str, message: str, problems: Sequence[Problem], request_id: str) -> bytes:
    """The JSON body `{"error": {"code", "message", "details": [{"row", "column", "expected", "received"}], "id"}}`."""
    return msgspec.json.encode(Envelope(Fault(code, message, problems, request_id)))
