"""From an error to the reply that tells of it, on whatever path."""

import logging
from collections.abc import Mapping

from septet.errors import (
    Malformed,
    MethodNotAllowed,
    Overloaded,
    RateLimited,
    SeptetError,
    Unauthenticated,
    Unavailable,
)
from septet.protocols.http.error_bodies import refusal
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id, new_id
from septet.types import Identity

logger = logging.getLogger("septet.api")

#: The request header that asks for the native error body on every path.
DETAILED = (b"septet-errors", b"detailed")
#: How to send a key (RFC 6750, 3).
_CHALLENGE = (b"www-authenticate", b"Bearer")


def refused(error: SeptetError, path: str, headers: Mapping[bytes, bytes], model: Identity | None = None) -> HttpReply:
    """The reply to a request that was refused, or could not be answered; `model` is the one that it was for."""
    request_id = error.request_id or id_of(headers)
    more: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        more = ((b"allow", error.allowed.encode()),)
    elif isinstance(error, Overloaded | RateLimited):
        more = ((b"retry-after", str(error.retry_after).encode()),)
    elif isinstance(error, Unavailable):
        more = ((b"retry-after", b"1"),)
    elif isinstance(error, Unauthenticated):
        more = (_CHALLENGE,)
    # A caller that asks for details gets code and problems, also from protocols that have none, such as /v2.
    detailed = headers.get(DETAILED[0]) == DETAILED[1]
    status, body = refusal("" if detailed else path, error, request_id)
    return HttpReply(status, body, request_id, headers=more, code=error.code, message=error.message, model=model)


def failed(error: Exception, template: str, http: HttpRequest, model: Identity | None = None) -> HttpReply:
    """The reply for any exception; one that nobody expected is logged, and its text kept from the caller."""
    if isinstance(error, SeptetError):
        return refused(error, http.path, http.headers, model)
    unexpected = SeptetError("The server failed to answer. The log has the reason under this id.")
    unexpected.request_id = id_of(http.headers)
    logger.error(
        "A request failed unexpectedly", exc_info=error, extra={"id": unexpected.request_id, "route": template}
    )
    return refused(unexpected, http.path, http.headers, model)


def id_of(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id where it is a good one, else a new one."""
    try:
        return checked_id(headers)
    except Malformed:
        return new_id()
