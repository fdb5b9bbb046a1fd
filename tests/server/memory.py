"""A connection without a network: the real `HttpConnection` and parser on a transport that only remembers."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httptools
import msgspec

from septet.errors import Invalid
from septet.events import NullObserver, Observer
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import Encode
from septet.registry import ServedModel
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.settings import Limits
from septet.testing import EchoPredictor
from septet.types import Identity, Request
from tests.protocols.models import classifier, decoder, owner

IDENTITY = Identity("iris", "1", "sha256:" + "0" * 64)
HOST = b"Host: here\r\n"


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; `deliver` drops what arrives while reading is paused, as it waits in the kernel."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__({"sslcontext": object()} if tls else {})
        self.written = b""
        self.ended = self.closed = self.aborted = False
        self.reading = True
        self.unsent = 0
        self._tls = tls

    def write(self, data: Any) -> None:
        assert not self.closed
        assert not self.ended
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return not self._tls

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def open(self) -> bool:
        return not self.closed

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Answer(msgspec.Struct, frozen=True):
    """One response as a client's parser reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code


class _Reader:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.headers: dict[str, str] = {}
        self.body = b""
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.headers, self.body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.answers.append(Answer(self.parser.get_status_code(), self.headers, self.body))


def read(written: bytes) -> list[Answer]:
    """The responses in what was written."""
    reader = _Reader()
    reader.parser.feed_data(written)
    return reader.answers


async def echo(http: HttpRequest) -> HttpReply:
    """Answers with what it was asked."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sorted(http.headers.items())}
    asked = [http.method, http.path, http.query.decode("latin-1"), headers, http.body.decode("latin-1")]
    return HttpReply(200, json.dumps(asked).encode(), "an-id")


class Slow:
    """A route that answers once it is told to."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[bytes]] = []
        self.cancelled = 0

    async def __call__(self, _: HttpRequest) -> HttpReply:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            return HttpReply(200, await future, "an-id")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Pieces:
    """A route whose reply comes piece by piece, as it is told; None is behind the last one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.ended = 0

    async def __call__(self, _: HttpRequest) -> HttpReply:
        return HttpReply(200, b"first,", "an-id", b"text/plain", pieces=self._pieces())

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while (piece := await self.queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.ended += 1


async def _settled(transport: MemoryTransport) -> None:
    """Let the event loop run until nothing more is written."""
    before = -1
    while before != len(transport.written):
        before = len(transport.written)
        for _ in range(12):
            await asyncio.sleep(0)


class Peer:
    """A server with one connection, seen from the client; it runs the event loop, which is not running otherwise."""

    def __init__(self, limits: Limits | None = None, observer: Observer | None = None, *, tls: bool = False) -> None:
        self.loop = asyncio.get_event_loop()
        self.app = App()
        self.slow = Slow()
        self.pieces = Pieces()
        echoes = [(method, path, echo) for path in ("/", "/echo") for method in ("GET", "POST")]
        service = msgspec.structs.replace(classifier(), identity=IDENTITY, predictor=EchoPredictor(identity=IDENTITY))
        self._model = self.app.models.install(service)
        owners = (owner(*echoes, ("GET", "/slow", self.slow), ("GET", "/pieces", self.pieces)),)
        model_owners = (decoder("/predict", self._decode),)
        self.app.install(lambda _: model_owners, owners, observer or NullObserver(), Limits(max_body_bytes=1_000))
        self.now = 0.0  # in seconds since 1970
        self.state = HttpServerState(self.app, limits or Limits(), lambda _: None, clock=lambda: self.now)
        self.transport = MemoryTransport(tls=tls)
        self.connection = self.connect(self.transport)

    def _decode(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """Read a body that is answered as it came; an empty one is refused."""
        if not http.body:
            raise Invalid("There is no body.")
        return self._model, Request({}, 1, "an-id"), lambda request, _: HttpReply(200, http.body, request.id)

    def connect(self, transport: MemoryTransport) -> HttpConnection:
        """One connection more."""
        made = HttpConnection(self.state)
        made.connection_made(transport)
        return made

    def send(self, *chunks: bytes) -> "Peer":
        """Let chunks arrive one after the other, as long as the connection reads."""
        for chunk in chunks:
            if self.transport.reading and not self.transport.closed:
                self.call(self.connection.data_received, chunk)
        return self

    def call(self, act: Callable[..., object], *arguments: object) -> None:
        """Do something on the event loop, and let it run until nothing more is written."""

        async def main() -> None:
            act(*arguments)
            await _settled(self.transport)

        self.loop.run_until_complete(main())

    def answer(self, body: bytes = b"slow") -> None:
        """Let the slow route answer its first request."""
        self.call(self.slow.waiting.pop(0).set_result, body)

    def piece(self, piece: bytes | Exception | None) -> None:
        """Let the reply in pieces go on, or end."""
        self.call(self.pieces.queue.put_nowait, piece)

    @property
    def answers(self) -> list[Answer]:
        """What it has answered so far."""
        return read(self.transport.written)

    @property
    def statuses(self) -> list[int]:
        """The same, in short."""
        return [answer.status for answer in self.answers]

    def seconds_pass(self, seconds: int) -> None:
        """Let the sweep come by so many times."""
        for _ in range(seconds):
            self.call(self.state.registry.second_passed)


Make = Callable[..., Peer]
