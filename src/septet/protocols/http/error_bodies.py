"""One table from neutral error codes to what each protocol answers, and the native error body."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from septet.errors import Problem, SeptetError

# code -> HTTP status. A code that is not here is a fault of ours: 500.
STATUS: dict[str, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "conflict": 409,
    "gone": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "misdirected": 421,
    "invalid": 422,
    # Before `overloaded`: a client that knows the status alone takes the later one.
    "rate_limited": 429,
    "overloaded": 429,
    "headers_too_large": 431,
    "cancelled": 499,
    "internal": 500,
    "unimplemented": 501,
    "model_failed": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}

# code -> the name of a gRPC status. A code that is not here is a fault of ours: INTERNAL.
GRPC: dict[str, str] = {
    "malformed": "INVALID_ARGUMENT",
    "unauthenticated": "UNAUTHENTICATED",
    "misdirected": "PERMISSION_DENIED",
    "rate_limited": "RESOURCE_EXHAUSTED",
    "not_found": "NOT_FOUND",
    "method_not_allowed": "UNIMPLEMENTED",
    "request_timeout": "DEADLINE_EXCEEDED",
    "conflict": "FAILED_PRECONDITION",
    "gone": "NOT_FOUND",
    "too_large": "RESOURCE_EXHAUSTED",  # what gRPC itself says of a message over its limit
    "unsupported_media_type": "INVALID_ARGUMENT",
    "unimplemented": "UNIMPLEMENTED",
    "invalid": "INVALID_ARGUMENT",
    "overloaded": "UNAVAILABLE",  # the status that clients repeat a call for, as they may here; Triton says it too
    "headers_too_large": "RESOURCE_EXHAUSTED",
    "cancelled": "CANCELLED",
    "internal": "INTERNAL",
    "model_failed": "INTERNAL",
    "unavailable": "UNAVAILABLE",
    "deadline_exceeded": "DEADLINE_EXCEEDED",
}

MALFORMED, INTERNAL = 400, 500
# Characters of a path that is cached: callers choose how long paths are.
_MOST_CACHED = 256

# code -> MLflow's error code; what is not here is BAD_REQUEST.
_MLFLOW: dict[str, str] = {
    "invalid": "INVALID_PARAMETER_VALUE",
    "not_found": "ENDPOINT_NOT_FOUND",
    "conflict": "RESOURCE_CONFLICT",
    "unauthenticated": "UNAUTHENTICATED",
    "rate_limited": "REQUEST_LIMIT_EXCEEDED",
    "overloaded": "REQUEST_LIMIT_EXCEEDED",
    "cancelled": "CANCELLED",
    "unimplemented": "NOT_IMPLEMENTED",
    "internal": "INTERNAL_ERROR",
    "model_failed": "INTERNAL_ERROR",
    "unavailable": "TEMPORARILY_UNAVAILABLE",
    "deadline_exceeded": "DEADLINE_EXCEEDED",
}


class ErrorDetail(msgspec.Struct, frozen=True):
    """An error in a response of the native routes."""

    code: str
    message: str
    details: Sequence[Problem]
    id: str


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """The body of every error on the native routes."""

    error: ErrorDetail


def envelope(code: str, message: str, problems: Sequence[Problem], request_id: str) -> bytes:
    """The JSON body `{"error": {"code", "message", "details": [{"row", "column", "expected", "received"}], "id"}}`."""
    return msgspec.json.encode(ErrorEnvelope(ErrorDetail(code, message, problems, request_id)))


def plain_error(code: str, message: str, problems: Sequence[Problem], request_id: str) -> bytes:  # noqa: ARG001
    """The JSON body `{"error": message}`, as the Open Inference Protocol and TensorFlow Serving have it."""
    return msgspec.json.encode({"error": message})


def coded_error(code: str, message: str, problems: Sequence[Problem], request_id: str) -> bytes:  # noqa: ARG001
    """The JSON body `{"error_code", "message"}`, as MLflow's scoring server has it."""
    return msgspec.json.encode({"error_code": _MLFLOW.get(code, "BAD_REQUEST"), "message": message})


#: How an error reads: from its code, message, problems and request id.
ErrorBody: TypeAlias = Callable[[str, str, Sequence[Problem], str], bytes]

#: The format of error bodies, by the beginning of a path.
_BODY_FORMATS: tuple[tuple[re.Pattern[str], ErrorBody], ...] = (
    (re.compile(r"/v[12](/|$)"), plain_error),
    (re.compile(r"(/models/[^/]+)?/invocations(/|$)"), coded_error),
)


def refusal(path: str, error: SeptetError, request_id: str) -> tuple[int, bytes]:
    """The status and the body of an error on a path, in the format of the protocol that the path belongs to."""
    status = STATUS.get(error.code, INTERNAL)
    body = _body_of(path)
    if body is not envelope and error.code == "invalid":
        # These protocols know 400 for whatever is wrong with a request's values.
        status = MALFORMED
    return status, body(error.code, error.message, error.problems, request_id)


def _body_of(path: str) -> ErrorBody:
    """How errors read on a path."""
    return _cached_body_of(path) if len(path) <= _MOST_CACHED else _found_body_of(path)


def _found_body_of(path: str) -> ErrorBody:
    return next((body for beginning, body in _BODY_FORMATS if beginning.match(path)), envelope)


# An overloaded server is asked for the same few again and again.
_cached_body_of = lru_cache(_found_body_of)
