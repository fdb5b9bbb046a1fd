"""Servers of known behaviour, on the loop of the test or in a thread of their own."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias, cast

import httptools

BODY = b'{"prediction":[[0.5]]}'

#: What a server does with its n-th request (from 0): seconds until the answer, and its bytes; none for no answer,
#: empty to close the connection.
Behaviour: TypeAlias = Callable[[int], tuple[float, bytes | None]]


def answer(body: bytes = BODY, status: str = "200 OK", head: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body


def at_once(_: int) -> tuple[float, bytes | None]:
    return 0.0, answer()


class FakeServer:
    """An async context manager; `port` is where it listens, `targets` what was asked for."""

    def __init__(self, behaviour: Behaviour = at_once, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour
        self._tls = tls
        self.targets: list[bytes] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await asyncio.sleep(0)

    def close(self) -> None:
        self._server.close()


class _End(asyncio.Protocol):
    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._server.targets.append(url)

    def on_message_complete(self) -> None:
        number = len(self._server.targets) - 1
        delay, data = self._server.behaviour(number)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes | None) -> None:
        if data:
            self._transport.write(data)
            if b"connection: close" in data:
                self._transport.close()
        elif data is not None:
            self._transport.abort()


class ServerThread:
    """A `FakeServer` in a thread, for clients in other processes. A context manager."""

    def __init__(self, behaviour: Behaviour = at_once, tls: ssl.SSLContext | None = None) -> None:
        self._fake = FakeServer(behaviour, tls)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @property
    def port(self) -> int:
        return self._fake.port

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with self._fake:
            self._ready.set()
            await self._ended.wait()
