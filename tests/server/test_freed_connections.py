"""A connection that is lost is freed at once, in whatever phase it was: by reference counts, with the collector off."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Callable, Iterator

import msgspec
import pytest
import uvloop

from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import Encode
from septet.registry import ServedModel
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.settings import Limits
from septet.testing import EchoPredictor, HeldPredictor
from septet.types import Request
from tests.protocols.models import classifier, decoder, owner
from tests.server.memory import IDENTITY, Slow

HEAD = b"POST /predict HTTP/1.1\r\nHost: here\r\n"
BODY = HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 20_000
PREDICT = HEAD + b"Content-Length: 5\r\n\r\nhello"
SLOW = b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n"
OFFER = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 10\r\n\r\nhello"
LAST = LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

PHASES = {
    "new": b"",
    "in the first line": b"GET /",
    "in a head": HEAD,
    "in a body": BODY,
    "in a body of tiny chunks": CHUNKS,
    "in the body of an offer to upgrade": OFFER,
    "waiting for an answer": SLOW,
    "waiting with others behind": SLOW + LARGE * 3 + BODY,
    "waiting with thousands behind": SLOW * 3_000,
    "waiting with a refusal behind": SLOW + b"\x00\r\n\r\n",
    "writing what nobody reads": LARGE,
    "writing with others behind": LARGE * 50,
    "writing the last answer": LAST,
    "refused": b"\x00\r\n\r\n" + b"x" * 100_000,
    "refused in a body": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    "refused for its length": HEAD + b"Content-Length: 999999999\r\n\r\n" + b"x" * 1_000_000,
}


async def large(_: HttpRequest) -> HttpReply:
    return HttpReply(200, b"x" * 4_000_000, "an-id")


class Listening:
    """A server of our connections in this process, and a weak reference to each of them."""

    def __init__(self, *, gated: bool = False) -> None:
        self.app = App()
        self.held = HeldPredictor(EchoPredictor(identity=IDENTITY))
        service = msgspec.structs.replace(classifier(), identity=IDENTITY, predictor=self.held)
        service.gate.closed = gated
        self.gate = service.gate
        self.model = self.app.models.install(service)
        self.slow = Slow()
        owners = (owner(("GET", "/slow", self.slow), ("GET", "/large", large)),)
        model_owners = (decoder("/predict", self._decode),)
        self.app.install(lambda _: model_owners, owners, NullObserver(), Limits(max_body_bytes=1_000_000))
        self.state = HttpServerState(self.app, Limits(max_body_bytes=1_000_000), lambda _: None)
        self.made: list[weakref.ref[HttpConnection]] = []
        # Behind the connections: what they hold, where it could be kept by itself.
        self.parsers: list[weakref.ref[object]] = []

    def _decode(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        return self.model, Request({}, 1, "an-id"), lambda request, _: HttpReply(200, http.body, request.id)

    def connection(self) -> HttpConnection:
        made = HttpConnection(self.state)
        self.made.append(weakref.ref(made))
        self.parsers.append(weakref.ref(made._parser))
        return made

    @property
    def alive(self) -> int:
        return sum(each() is not None for kept in (self.made, self.parsers) for each in kept)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    with asyncio.Runner(loop_factory=factory) as made:
        gc.collect()
        gc.disable()
        yield made
        gc.enable()


async def abandoned(listening: Listening, sent: bytes, *, endings: tuple[str, ...] = ("closed", "reset")) -> int:
    """How many connections are alive after a client sent this and went away, in these ways."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(listening.connection, "127.0.0.1", 0)
    for ending in endings:
        client = socket.create_connection(server.sockets[0].getsockname())
        client.setblocking(False)  # noqa: FBT003 - the standard library's signature
        wanted = len(listening.made)
        async with asyncio.timeout(30):
            while len(listening.made) == wanted or not listening.state.registry:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.001)
        for start in range(0, len(sent), 50_000):
            try:
                await asyncio.wait_for(loop.sock_sendall(client, sent[start : start + 50_000]), 0.2)
            except TimeoutError:
                break
        for _ in range(20):
            await asyncio.sleep(0)
        if ending == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
        await _empty(listening)
    server.close()
    await server.wait_closed()
    # A handler that is cancelled ends a turn later.
    for _ in range(20):
        await asyncio.sleep(0)
    return listening.alive


async def _empty(listening: Listening) -> None:
    """Wait until no connection is open.

    One that is not read notices its end when it writes or is timed out: so what waits is answered, and time passes.
    """
    for _ in range(400):
        for _ in range(20):
            await asyncio.sleep(0)
        if not len(listening.state.registry):
            return
        while listening.slow.waiting:
            future = listening.slow.waiting.pop()
            if not future.done():
                future.set_result(b"late")
        listening.state.registry.second_passed()
        await asyncio.sleep(0.001)
    raise AssertionError(list(listening.state.registry))


@pytest.mark.parametrize("phase", PHASES)
def test_a_lost_connection_is_freed_by_reference_counts(runner: asyncio.Runner, phase: str) -> None:
    listening = Listening()
    assert runner.run(abandoned(listening, PHASES[phase])) == 0


# Who has only ended its sending is still answered.


def test_a_lost_connection_whose_request_waits_for_the_model_is_freed(runner: asyncio.Runner) -> None:
    assert runner.run(abandoned(Listening(), PREDICT, endings=("reset",))) == 0


def test_a_lost_connection_whose_request_waits_at_a_gate_is_freed(runner: asyncio.Runner) -> None:
    listening = Listening(gated=True)
    assert runner.run(abandoned(listening, PREDICT, endings=("reset",))) == 0
    assert listening.gate.waiting == 1
