"""The transports over HTTP: urllib3 for threads, aiohttp for coroutines.

Chosen in 2026-11 by measuring a one-row request over loopback (requests a second at one caller, and at 16 coroutines)
and by what happens when things go wrong:

| | sync | async 1 | async 16 | |
|---|---|---|---|---|
| urllib3 2.8 | 1,850 | | | no dependency of its own |
| aiohttp 3.14 | | 2,100 - 2,900 | 6,600 - 9,100 | |
| httpx2 2.16 (httpx itself had no stable release for two years) | 1,500 - 1,900 | 980 - 1,400 | 900 - 1,600 | |
| niquests 3.21 | 900 - 1,300 | 1,200 | 1,600 - 1,800 | |
| pyreqwest 0.15 | 3,200 - 4,000 | 2,800 - 3,300 | 10,600 - 16,000 | hangs in a forked child, deadline or not |

pyreqwest is the fastest, and cannot be relied on: besides the hang it leaves Ctrl+C without effect until the deadline,
and reports a connection that broke after the request was sent as one that was never made: a retry would be unsafe.
"""

import os
import socket
import struct
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from time import monotonic
from typing import Any

from septet.errors import MissingExtra
from septet.remote.caller_tls import SYSTEM_TLS, CallerTls, caller_context
from septet.remote.remote_calls import CallFailure, WireReply, WireRequest
from septet.remote.remote_errors import broken, disconnected, late, unreachable
from septet.remote.server_address import UNIX

POOLED = 64  # connections kept for the next calls; more are opened where more calls run at once
CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)  # to close takes no time, and discards what is not sent


class Urllib3Transport:
    """A `ThreadTransport`. `origin` is scheme, host and port, or `unix:/path`; `headers` go with every request.

    The files of `tls` are read once, here.
    """

    def __init__(self, origin: str, headers: Mapping[str, str], tls: CallerTls = SYSTEM_TLS) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise _missing() from error
        self._urllib3 = urllib3
        self._origin = origin
        self._headers = dict(headers)
        self._tls = caller_context(tls) if tls else None
        self._open()

    def _open(self) -> None:
        if self._origin.startswith(UNIX):
            from septet.remote.unix_pool import UnixPool

            self._pool: Any = UnixPool(Path(self._origin.removeprefix(UNIX)), maxsize=POOLED)
        else:
            given = {} if self._tls is None else {"ssl_context": self._tls}
            self._pool = self._urllib3.connection_from_url(self._origin, maxsize=POOLED, retries=False, **given)
        self._process = os.getpid()

    def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Send one request and read its reply."""
        if os.getpid() != self._process:  # forked: the connections are the parent's
            self._open()
        errors = self._urllib3.exceptions
        try:
            return self._reply(request, seconds)
        except (errors.NewConnectionError, errors.ConnectTimeoutError) as error:
            return unreachable(self._origin, error.__cause__ or error)
        except errors.TimeoutError:
            return late(self._origin, seconds)
        except errors.HTTPError as error:
            return broken(self._origin, error)

    def _reply(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        deadline = monotonic() + seconds
        response = self._pool.urlopen(
            request.method,
            request.path,
            request.body or None,
            {**self._headers, **request.headers},
            retries=False,
            redirect=False,
            timeout=self._urllib3.Timeout(total=seconds),
            preload_content=False,
        )
        # The library's timeout holds for each read of the socket, and a long answer takes many.
        chunks = []
        while chunk := response.read1(CHUNK):
            chunks.append(chunk)
            if monotonic() > deadline:
                response.close()
                return late(self._origin, seconds)
        response.release_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return WireReply(response.status, headers, b"".join(chunks))

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.close()
        self._open()


class AiohttpTransport:
    """An `AsyncTransport`, of the event loop that it is first used on. Arguments as for threads."""

    def __init__(self, origin: str, headers: Mapping[str, str], tls: CallerTls = SYSTEM_TLS) -> None:
        try:
            import aiohttp
            import yarl
        except ImportError as error:
            raise _missing() from error
        self._aiohttp = aiohttp
        self._url = yarl.URL
        self._origin = origin
        self._base = "http://localhost" if origin.startswith(UNIX) else origin
        self._headers = dict(headers)
        self._tls = caller_context(tls) if tls else None
        self._session: Any = None

    def _opened(self) -> Any:
        library = self._aiohttp
        if self._origin.startswith(UNIX):
            from septet.remote.unix_connector import NotedUnixConnector

            connector = NotedUnixConnector(Path(self._origin.removeprefix(UNIX)), _note_connection)
        else:
            connector = library.TCPConnector(socket_factory=_new_socket, ssl=self._tls or True)
        return library.ClientSession(headers=self._headers, cookie_jar=library.DummyCookieJar(), connector=connector)

    async def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Send one request and read its reply."""
        if self._session is None:
            self._session = self._opened()
        library = self._aiohttp
        sent = _Sent()
        _sending.set(sent)
        try:
            async with self._session.request(
                request.method,
                self._url(self._base + request.path, encoded=True),
                data=request.body or None,
                headers=request.headers,
                allow_redirects=False,
                timeout=library.ClientTimeout(total=seconds),
            ) as response:
                sent.answered = True
                headers = {name.lower(): value for name, value in response.headers.items()}
                return WireReply(response.status, headers, await response.read())
        except library.ClientConnectorError as error:
            return unreachable(self._origin, error.__cause__ or error)
        except TimeoutError:
            return late(self._origin, seconds)
        except (library.ServerDisconnectedError, library.ClientOSError) as error:
            kept = not (sent.connected or sent.answered)
            return disconnected(self._origin, error) if kept else broken(self._origin, error)
        except library.ClientError as error:
            return broken(self._origin, error)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


class _Sent:
    """What became of one request: whether a connection was made for it, and whether an answer began."""

    __slots__ = ("answered", "connected")

    def __init__(self) -> None:
        self.connected = False
        self.answered = False


#: The request that a task sends. The library makes connections in the task of a request, and does not say otherwise
#: whether it did.
_sending: ContextVar[_Sent] = ContextVar("septet_sending")


def _note_connection() -> None:
    _sending.get().connected = True


def _new_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for a new connection, whose end is a reset: it tells the server that no answer is read any more.

    A connection that ends without one may only have finished sending, so a server goes on with its request.
    """
    _note_connection()
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return made


def _missing() -> MissingExtra:
    return MissingExtra("The client over HTTP needs urllib3 and aiohttp: pip install 'septet[client]'")
