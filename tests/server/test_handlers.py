"""Handlers are ordinary coroutines under every transport: they have a task, and may use all of asyncio."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest
import uvicorn
import uvloop

from septet.events import Finished
from septet.protocols.http.app import App
from septet.protocols.http.asgi import Asgi
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.server.http import HttpConnection
from septet.server.listener import reserve
from septet.server.wire import Wire
from septet.settings import Limits
from tests.protocols import models


class Recorder:
    def __init__(self) -> None:
        self.events: list[Finished] = []

    def started(self) -> None:
        """Nothing is kept."""

    def finished(self, event: Finished) -> None:
        self.events.append(event)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of HTTP that says yes to everything."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nyes")
    await writer.drain()
    writer.close()


async def thorough(http: HttpRequest) -> HttpReply:
    """Use what needs a task of its own."""
    parts: list[str] = []
    async with asyncio.timeout(20):
        async with asyncio.TaskGroup() as group:
            for part in ("a", "b"):
                group.create_task(_append(parts, part))
        await asyncio.sleep(0)
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, aiohttp.ClientSession() as session:
            host, port = server.sockets[0].getsockname()
            async with session.get(f"http://{host}:{port}/") as answer:
                parts.append(await answer.text())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    task = asyncio.current_task()
    assert task is not None
    return HttpReply(200, f"{' '.join(sorted(parts))} {http.parameters['id']}".encode(), "an-id", b"text/plain")


async def _append(parts: list[str], part: str) -> None:
    await asyncio.sleep(0)
    parts.append(part)


async def gives_up(_: HttpRequest) -> HttpReply:
    """A handler that cancels itself."""
    raise asyncio.CancelledError


def application(observer: Recorder) -> App:
    declared = models.owner(("GET", "/job/{id}", thorough), ("GET", "/gives-up", gives_up))
    return models.app(models.classifier(), server=(declared,), observer=observer)


@asynccontextmanager
async def own_runner(app: App) -> AsyncIterator[str]:
    (reserved,) = reserve("127.0.0.1", 0)
    wire = Wire(app, Limits())
    server = await asyncio.get_running_loop().create_server(lambda: HttpConnection(wire), sock=reserved)
    async with server:
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"
        for connection in list(wire.connections):
            connection.shutdown()


@asynccontextmanager
async def under_uvicorn(app: App) -> AsyncIterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(Asgi(app, max_body_bytes=1000), log_level="critical", lifespan="off"))
        serving = asyncio.create_task(server.serve([bound]))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await serving


TRANSPORTS = pytest.mark.parametrize("transport", [own_runner, under_uvicorn])
Transport = Callable[[App], AbstractAsyncContextManager[str]]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(120):
            await story()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@TRANSPORTS
def test_a_handler_may_use_all_of_asyncio(transport: Transport) -> None:
    async def story() -> None:
        observer = Recorder()
        async with transport(application(observer)) as url, aiohttp.ClientSession() as session:
            async with session.get(f"{url}/job/seven") as answer:
                assert (answer.status, await answer.text()) == (200, "a b yes seven")
            async with session.post(f"{url}/job/seven") as answer:
                assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
            async with session.get(f"{url}/job/seven/more") as answer:
                assert answer.status == 404
        assert [event.route for event in observer.events] == ["/job/{id}", "/job/{id}", "unmatched"]

    run(story)


def test_a_handler_that_cancels_itself_is_a_failure_and_its_caller_is_told() -> None:
    async def story() -> None:
        async with own_runner(application(Recorder())) as url, aiohttp.ClientSession() as session:
            async with session.get(f"{url}/gives-up") as answer:
                assert answer.status == 500
            async with session.get(f"{url}/job/seven") as answer:
                assert answer.status == 200

    run(story)
