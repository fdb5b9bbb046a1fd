"""A handler is an ordinary coroutine under each transport: it may use timeouts, task groups and a client of HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import aiohttp.web
import grpc
import grpc.aio
import pytest
import uvicorn
import uvloop

from septet.protocols.http.app import App
from septet.protocols.http.asgi import Asgi
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.rpc.methods import PROTOBUF, Method
from septet.server.h2.h2_connection import H2Connection
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.settings import Limits
from tests.protocols.models import app as model_app
from tests.protocols.models import classifier, owner

Serve = Callable[[App], AbstractAsyncContextManager[str]]
LONG = 20.0  # seconds: far more than anything here takes
FETCH, GIVE_UP, FETCH_CALL, GIVE_UP_CALL = "/fetch/{id}", "/give-up", "/t.T/Fetch", "/t.T/GiveUp"


class Fetching:
    """Handlers that ask another server, at `url`, as coroutines do."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def fetch(self, http: HttpRequest) -> HttpReply:
        """Ask twice at once, and answer with both answers and the id in the path."""
        async with asyncio.timeout(LONG), aiohttp.ClientSession() as session:
            await asyncio.sleep(0)
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._ask(session, part)) for part in ("a", "b")]
        found = b"".join(each.result() for each in asked) + http.parameters.get("id", "").encode()
        return HttpReply(200, found, "the-id", PROTOBUF)

    async def give_up(self, _: HttpRequest) -> HttpReply:
        """Run into a timeout of its own, and be cancelled by its own code."""
        try:
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            raise asyncio.CancelledError from None
        raise AssertionError

    async def _ask(self, session: aiohttp.ClientSession, part: str) -> bytes:
        async with session.get(f"{self._url}/{part}") as found:
            return await found.read()


@asynccontextmanager
async def other_server() -> AsyncIterator[str]:
    """A server that answers a path with its last part."""

    async def answer(asked: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        await asyncio.sleep(0)
        return aiohttp.web.Response(text=asked.path[1:])

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(answer))
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def application() -> AsyncIterator[App]:
    """An application whose handlers ask another server."""
    async with other_server() as url:
        handlers = Fetching(url)
        routes = owner(
            ("GET", FETCH, handlers.fetch),
            ("GET", GIVE_UP, handlers.give_up),
            ("POST", FETCH_CALL, handlers.fetch),
            ("POST", GIVE_UP_CALL, handlers.give_up),
        )
        yield model_app(classifier(), server=(routes,))


async def get(address: str, path: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as found:
        return found.status, await found.read()


@asynccontextmanager
async def own_transport(app: App) -> AsyncIterator[str]:
    """The address of the application under the transport of `septet serve`."""
    state = HttpServerState(app, Limits(), lambda _: None)
    server = await asyncio.get_running_loop().create_server(lambda: HttpConnection(state), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        async with asyncio.timeout(LONG):
            await state.registry.empty.wait()


@asynccontextmanager
async def under_uvicorn(app: App) -> AsyncIterator[str]:
    """The address of the application under uvicorn."""
    asgi = Asgi(app, max_body_bytes=1000)
    server = uvicorn.Server(uvicorn.Config(asgi, host="127.0.0.1", port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(LONG):
        while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.005)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def over_http2(app: App) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the application under HTTP/2."""
    state = H2ServerState(app, (Method(FETCH_CALL), Method(GIVE_UP_CALL)), Limits(), lambda _: None)
    server = await asyncio.get_running_loop().create_server(lambda: H2Connection(state), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
            yield channel
        # grpc keeps its connection for the next channel.
        for connection in state.registry:
            connection.abort()
        async with asyncio.timeout(LONG):
            await state.registry.empty.wait()


def run(scenario: Callable[[], Awaitable[None]], *, own_loop: bool = True) -> None:
    async def main() -> None:
        await scenario()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if own_loop else None) as runner:
        runner.run(main())


@pytest.mark.parametrize("serve", [own_transport, under_uvicorn])
def test_a_handler_may_do_what_any_coroutine_may(serve: Serve) -> None:
    async def scenario() -> None:
        async with application() as app, serve(app) as address:
            assert await get(address, FETCH.format(id="seven")) == (200, b"abseven")
            status, body = await get(address, GIVE_UP)
            assert (status, b'"internal"' in body) == (500, True)
            assert await get(address, FETCH.format(id="seven")) == (200, b"abseven")

    run(scenario)


def test_a_method_that_does_not_predict_may_do_what_any_coroutine_may() -> None:
    async def scenario() -> None:
        async with application() as app, over_http2(app) as channel:
            assert await channel.unary_unary(FETCH_CALL)(b"") == b"ab"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(GIVE_UP_CALL)(b"")
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert await channel.unary_unary(FETCH_CALL)(b"") == b"ab"

    run(scenario, own_loop=False)
