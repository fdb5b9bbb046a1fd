"""The application as ASGI 3 (https://asgi.readthedocs.io): under uvicorn, gunicorn, granian, hypercorn, or mounted."""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from septet.errors import SeptetError
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest, headers_of
from septet.protocols.http.limits import check_content_length, check_length
from septet.protocols.http.response_headers import flags_header, identity_headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """Raised when the caller went away before its request was complete."""


class Asgi:
    """One `App` as an ASGI application."""

    def __init__(self, app: App, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope: `http` and `lifespan`."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003, "reason": "There are no web sockets here."})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(list(scope["headers"]))
        try:
            body = await self._body(_path(scope), headers, receive)
        except Disconnected:
            return
        except SeptetError as error:
            await self._send(send, scope, self._app.refuse(error, _path(scope), headers), close=True)
            return
        root_path = scope.get("root_path", "").rstrip("/")
        request = HttpRequest(scope["method"], _path(scope), scope["query_string"], headers, body, root_path)
        reply = await self._answered(request, receive)
        if reply is not None and reply.pieces is not None and scope["method"] != "HEAD":
            await self._stream(send, receive, reply)
        elif reply is not None:
            await self._send(send, scope, reply)

    async def _answered(self, request: HttpRequest, receive: Receive) -> HttpReply | None:
        """The reply; None where the caller goes away before: then its work is given up."""
        future: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        pending = self._app.answer(request, partial(_resolve, future))
        if future.done():  # as most are, whose model runs on the loop
            return future.result()
        watching = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((future, watching), return_when=asyncio.FIRST_COMPLETED)
            gone = not future.done() and watching.result()
            return None if gone else await future
        finally:
            watching.cancel()
            if not future.done():
                pending.cancel()

    async def _send(self, send: Send, scope: Scope, reply: HttpReply, *, close: bool = False) -> None:
        headers = self._headers(reply)
        if reply.pieces is None:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        if close and scope["http_version"] == "1.1":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _stream(self, send: Send, receive: Receive, reply: HttpReply) -> None:
        """Send the pieces as they come, until the caller goes away."""

        async def pieces() -> None:
            await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
            await send({"type": "http.response.body", "body": reply.body, "more_body": True})
            if reply.pieces is not None:
                async with contextlib.aclosing(reply.pieces) as following:
                    async for piece in following:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        sending = asyncio.ensure_future(pieces())
        watching = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() or not watching.result():
                await sending
        finally:
            watching.cancel()
            sending.cancel()

    def _headers(self, reply: HttpReply) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", reply.media_type),
            (b"x-request-id", reply.id.encode()),
            *identity_headers(reply.model or self._app.identity),
            *flags_header(reply.flags),
            *reply.headers,
        ]

    async def _body(self, path: str, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        if b"content-length" in headers:
            check_content_length(headers[b"content-length"], self._max_body_bytes)
        gathered = io.BytesIO()
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size += len(part)
            check_length(size, self._max_body_bytes)
            if not message.get("more_body", False) and size == len(part):
                return bytes(part)
            if size == len(part):
                # More follows: not from a caller who may not ask.
                self._app.check_caller(path, headers)
            gathered.write(part)
            if not message.get("more_body", False):
                return gathered.getvalue()


def _resolve(future: "asyncio.Future[HttpReply]", reply: HttpReply) -> None:
    if not future.done():
        future.set_result(reply)


async def _disconnected(receive: Receive) -> bool:
    """Wait for what comes behind the body: whether it is that the caller has gone."""
    try:
        message = await receive()
        return bool(message["type"] == "http.disconnect")
    except Exception:  # noqa: BLE001 - a server's own; it says nothing of the caller
        return False


def _path(scope: Scope) -> str:
    """The path below the mount: servers and frameworks put the mount's prefix into both `root_path` and `path`."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] or "/" if (root and path.startswith(root + "/")) or path == root != "" else path


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing happens at start-up: the application was made with its model loaded."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
