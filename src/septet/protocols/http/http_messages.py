"""HTTP messages as records, so that every transport (our own runner, any ASGI server) drives the same handlers."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from septet.errors import Malformed
from septet.types import Identity, Report, Timings

JSON = b"application/json"
MAX_ID_LENGTH = 128
#: The header in which a caller says how many seconds it waits for the answer.
TIMEOUT = b"septet-timeout"
#: The header in which a caller says that the answer may come later (RFC 7240).
PREFER = b"prefer"
_SECONDS = re.compile(rb"[0-9]{1,10}(\.[0-9]{1,9})?")


class RequestContext(msgspec.Struct, frozen=True, gc=False):
    """What the headers of a request say of it.

    Attributes:
        id: the caller's `x-request-id`, or None.
        trace: the W3C `traceparent` as received, or None.
        media_type: the content type without its parameters, in lower case; empty where there is none.
        timeout: within how many seconds the caller wants its answer, or None.
    """

    id: str | None
    trace: str | None
    media_type: bytes
    timeout: float | None = None


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """A complete request. Header names are lower case; of a repeated header the last one counts.

    `path` begins below `root_path`, the prefix of the application that this one is mounted in. `known_context` is what
    the headers say, where a transport has seen the same ones before. `parameters` are those in the path,
    by the names of the route's pattern. `caller` is the name of the API key that it came with, or None. `report` takes
    how much of the answer is computed, where somebody wants to know.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    root_path: str = ""
    known_context: RequestContext | None = None
    parameters: Mapping[str, str] = {}
    caller: str | None = None
    report: Report | None = None

    @property
    def context(self) -> RequestContext:
        """What the headers say.

        Raises:
            Malformed: the id is not one, or the timeout none.
        """
        return self.known_context or context_of(self.headers)


class HttpReply(msgspec.Struct, frozen=True, gc=False):
    """A complete reply. Transports add the id, the length, `model` and `flags` as headers.

    `model` is the one that answered; None where the reply is of no model. `flags` are those of the predictor's answer.
    `code`, `rows`, `timings` and `message` are for observers: they are not sent. `pieces` follow the body one after the
    other, when they are there, and end where the caller goes away; they are sent at once, with no length named.
    """

    status: int
    body: bytes
    id: str
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    code: str = "ok"
    rows: int = 0
    timings: Timings | None = None
    message: str | None = None
    model: Identity | None = None
    flags: tuple[str, ...] = ()
    pieces: AsyncGenerator[bytes, None] | None = None


Handle: TypeAlias = Callable[[HttpRequest], Awaitable[HttpReply]]


def request_id_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The caller's `x-request-id`, or None.

    Raises:
        Malformed: it is longer than 128 characters or has any but visible ASCII characters.
    """
    value = headers.get(b"x-request-id")
    if value is None:
        return None
    if not 1 <= len(value) <= MAX_ID_LENGTH or min(value) <= 0x20 or max(value) >= 0x7F:  # noqa: PLR2004
        text = "The header x-request-id must be 1 to 128 visible ASCII characters without spaces."
        raise Malformed(text)
    return value.decode("ascii")


def context_of(headers: Mapping[bytes, bytes]) -> RequestContext:
    """What the headers say.

    Raises:
        Malformed: the id is not one, or the timeout none.
    """
    return RequestContext(request_id_of(headers), traceparent_of(headers), media_type(headers), timeout_header(headers))


def timeout_header(headers: Mapping[bytes, bytes]) -> float | None:
    """Within how many seconds the caller wants its answer, by its header `septet-timeout`, or None.

    Raises:
        Malformed: it is not a number above 0, of up to ten digits and with a point at most.
    """
    value = headers.get(TIMEOUT)
    if value is None:
        return None
    if not _SECONDS.fullmatch(value) or not float(value):
        text = f"The header septet-timeout is {shown(value)}; expected seconds above 0, such as 0.5."
        raise Malformed(text)
    return float(value)


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. Of one that repeats the last counts, but for codings of the body, which are one list."""
    headers = dict(pairs)
    if len(headers) != len(pairs) and b"content-encoding" in headers:
        headers[b"content-encoding"] = b", ".join(value for name, value in pairs if name == b"content-encoding")
    return headers


def media_type(headers: Mapping[bytes, bytes]) -> bytes:
    """The content type without its parameters, in lower case; empty where there is none."""
    value = headers.get(b"content-type", b"")
    if value == JSON:
        return JSON
    return value.partition(b";")[0].strip().lower()


def media_parameters(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The parameters of the content type in lower case, without quotes."""
    pairs = [part.partition(b"=") for part in headers.get(b"content-type", b"").lower().split(b";")[1:]]
    return {name.strip(): value.strip().strip(b'"') for name, _, value in pairs}


def shown(header: bytes) -> str:
    """The value of a header as an error may repeat it."""
    return repr(header.decode("latin-1")[:80])


def traceparent_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The W3C `traceparent` header as received, or None."""
    value = headers.get(b"traceparent")
    return None if value is None else value.decode("latin-1")
