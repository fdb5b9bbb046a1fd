"""From the bytes of one HTTP/1.1 connection to its requests: httptools parses, their limits hold here.

A request that offers an upgrade (`Upgrade: h2c`, a web socket) is read as if it did not (RFC 9110, 7.8). httptools ends
behind such a head and takes what follows for another protocol, so that the body would be read as the next request. The
head is therefore given to a new parser once more, without its header `Upgrade`.

The parser and httptools refer to each other; `close` ends that, so that what a client abandons is freed at once.
"""

import io
from collections.abc import Callable, Mapping
from typing import Final

import httptools
import msgspec

from septet.errors import SeptetError
from septet.protocols.http.http_messages import HttpRequest, headers_of
from septet.protocols.http.limits import check_length, head_size, head_too_large
from septet.server.connection_phase import BODY, HEAD, IDLE
from septet.server.request_head import (
    VERSIONS,
    body_length,
    check_head,
    host_of,
    other_version,
    parser_error,
    path_and_query,
)
from septet.settings import Limits

#: Of a body that is read before it is known whether its caller may ask.
MOST_UNASKED_BYTES: Final = 1 << 16


class PipelinedRequest(msgspec.Struct, frozen=True, gc=False):
    """A complete request, and whether its connection may be used again after the answer."""

    http: HttpRequest
    keep_alive: bool


class RequestParser:
    """Made for each connection.

    `check_caller` is called with path and headers before a large body is read, and raises where the caller may not ask.

    Attributes:
        phase: what is read: `IDLE` (between two requests), `HEAD` or `BODY`.
        complete: the requests that are complete and were not taken yet, in order.
        takes_interim: whether the client may be sent interim responses: by HTTP/1.0 it must not.
        expects_continue: whether the client waits for `100 Continue` before it sends the body that is read.
        body_left: how many bytes follow that are nothing but this body; 0 where that is not known, as with chunks.
        headers: of the request that is read, once they are complete.
    """

    def __init__(self, limits: Limits, check_caller: Callable[[str, Mapping[bytes, bytes]], None]) -> None:
        self._limits = limits
        self._check_caller = check_caller
        self._http: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self.phase = IDLE
        self.complete: list[PipelinedRequest] = []
        self.expects_continue = False
        self.takes_interim = True
        self.body_left = 0
        self._method, self._version, self._url = b"", "", b""
        # The last one that was found good.
        self._host: bytes | None = None
        self._pairs: list[tuple[bytes, bytes]] = []
        self.headers: dict[bytes, bytes] = {}
        # The head that was read offers an upgrade: it is given to the parser again.
        self._offered = False
        # The first piece of the body, and all of them where there are several: chunks may be tiny and many.
        self._body = b""
        self._gathered: io.BytesIO | None = None
        self._body_bytes = 0
        # The bytes of whole chunks since a request began or ended, or its body grew; negative within that very chunk.
        self._stalled_bytes = 0
        self._chunk_bytes = 0

    @property
    def path(self) -> str:
        """Of the request that is read, as far as it came."""
        return self._url.partition(b"?")[0].decode("latin-1")

    @property
    def head_bytes(self) -> int:
        """How many bytes have come of a head, or of another thing between the pieces of a body."""
        return max(self._stalled_bytes, 0)

    def feed(self, data: "bytes | memoryview") -> SeptetError | None:
        """Parse a piece of what came; the error, where it is no request. Behind an error nothing can be parsed."""
        self._chunk_bytes = len(data)
        rest = data
        while self._http is not None:
            try:
                self._http.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                rest = self._without_offer() + bytes(rest[int(offer.args[0]) :])
                continue
            except httptools.HttpParserError as error:
                return self._collected(parser_error(error))
            break
        self._stalled_bytes += len(data)
        if self._stalled_bytes > self._limits.max_header_bytes:
            return self._collected(head_too_large(self._limits))
        return None

    def taken(self) -> list[PipelinedRequest]:
        """The complete requests, which are the caller's from now on."""
        taken, self.complete = self.complete, []
        return taken

    def close(self) -> int:
        """Let go of everything; the bytes of the body that was read."""
        dropped = self._body_bytes if self.phase == BODY else 0
        self._http = None
        self._body = b""
        self._gathered = None
        return dropped

    # What httptools calls. An error raised here is the callback error's context.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.phase = HEAD
        self._url = b""
        self._pairs = []
        self.headers = {}
        self._body = b""
        self._body_bytes = self.body_left = 0
        self._stalled_bytes = -self._chunk_bytes

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, up to the limit of their number; one behind the body (a trailer) means nothing here."""
        if self.phase == BODY:
            return
        self._pairs.append((name.lower(), value.rstrip()))
        if len(self._pairs) > self._limits.max_headers:
            raise head_too_large(self._limits)

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large or not to be read, and a body that is announced too large."""
        parser, limits, pairs = self._http, self._limits, self._pairs
        assert parser is not None  # noqa: S101 - it is the one that calls
        large = self._stalled_bytes >= 0 or self._chunk_bytes > limits.max_header_bytes
        if large and len(self._url) + head_size(pairs) > limits.max_header_bytes:
            raise head_too_large(limits)
        self.phase = BODY
        self._stalled_bytes = -self._chunk_bytes
        headers = self.headers = headers_of(pairs)
        version = self._version = parser.get_http_version()
        self.takes_interim = version == "1.1"
        method = self._method = parser.get_method()
        host = headers.get(b"host")
        # Mostly the same as before, which was found good.
        if host is None or host != self._host or method == b"CONNECT" or len(headers) != len(pairs):
            check_head(method, version, pairs, headers)
            self._host = host
        elif version not in VERSIONS:
            raise other_version(version)
        if b"upgrade" in headers and parser.should_upgrade():
            self._offered = True
            return
        if b"://" in self._url and not self._url.startswith(b"/"):
            # The host of the target counts, not the header's (RFC 9112, 3.2.2).
            headers[b"host"] = host_of(self._url)
        self.body_left = body_length(version, headers, limits.max_body_bytes)
        expects = b"expect" in headers
        if self.body_left > MOST_UNASKED_BYTES or expects or b"transfer-encoding" in headers:
            self._check_caller(self.path, headers)
        if expects and headers[b"expect"].lower() == b"100-continue":
            self.expects_continue = version == "1.1"

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        before = self._body_bytes
        size = self._body_bytes = before + len(body)
        self._stalled_bytes = -self._chunk_bytes
        check_length(size, self._limits.max_body_bytes)
        self.expects_continue = False
        if self.body_left:
            self.body_left -= len(body)
        if not before:
            self._body = body
            return
        if self._gathered is None:
            self._gathered = io.BytesIO()
            self._gathered.write(self._body)
        self._gathered.write(body)

    def on_message_complete(self) -> None:
        """Keep a complete request."""
        if self._offered:
            return
        parser = self._http
        assert parser is not None  # noqa: S101 - it is the one that calls
        self.phase = IDLE
        self._stalled_bytes = -self._chunk_bytes
        self.expects_continue = False
        path, _, query = self._url.partition(b"?")
        if b"%" in path or b"#" in self._url or not path.startswith(b"/"):
            path, query = path_and_query(self._url)
        # The whole of it, without a copy.
        body = self._body if self._gathered is None else self._gathered.getvalue()
        headers = self.headers
        http = HttpRequest(self._method.decode("ascii"), path.decode("utf-8", "replace"), query, headers, body)
        keep_alive = self._version == "1.1" and parser.should_keep_alive()
        self.complete.append(PipelinedRequest(http, keep_alive))
        self._url, self._pairs, self.headers = b"", [], {}
        self._body, self._gathered = b"", None

    def _without_offer(self) -> bytes:
        """The head that was read, as it would be without the header `Upgrade`, for a new parser."""
        self._offered = False
        first = b"%b %b HTTP/%b" % (self._method, self._url, self._version.encode())
        lines = [b"%b: %b" % pair for pair in self._pairs if pair[0] != b"upgrade"]
        self._http = httptools.HttpRequestParser(self)
        return b"\r\n".join((first, *lines, b"", b""))

    def _collected(self, error: SeptetError) -> SeptetError:
        """The error without the frames in which it was raised: they hold the request, and the parser itself."""
        error.__context__ = None
        self._gathered = None
        return error.with_traceback(None)
