"""A connection in memory, and both kinds of client: one that keeps the protocol (h2), one that writes what it likes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import h2.config
import h2.connection
import h2.events
import hpack
import msgspec
import numpy as np

from septet.errors import Malformed
from septet.events import Finished
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import Encode
from septet.protocols.rpc.methods import PROTOBUF, Method
from septet.registry import ServedModel
from septet.server.h2 import h2_frames
from septet.server.h2.h2_connection import H2Connection
from septet.server.h2.h2_server_state import H2ServerState
from septet.settings import Limits
from septet.testing import EchoPredictor, HeldPredictor, HeldRequest
from septet.types import Done, Identity, Pending, Request, Response, Timings
from tests.protocols.models import app as model_app
from tests.protocols.models import classifier, decoder, owner

ECHO, LATE, TALK, TALK_ON, TALK_LATE = "/t.T/Echo", "/t.T/Late", "/t.T/Talk", "/t.T/TalkOn", "/t.T/TalkLate"
WATCH, HANDLED = "/t.T/WatchCall", "/t.T/Handled"
PREDICTING = (ECHO, LATE, TALK, TALK_ON, TALK_LATE)
IDENTITY = Identity("iris", "1", "sha256:0")
ECHOING = EchoPredictor(identity=IDENTITY)
SETTINGS = h2_frames.settings({})
HELLO = h2_frames.PREFACE + SETTINGS


def message(body: bytes, *, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(body).to_bytes(4) + body


def fields(path: str = ECHO, **more: str) -> list[tuple[str, str]]:
    """The head of a call; in names `_` stands for `-`."""
    return [
        *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "here"), ("te", "trailers")),
        *(("content-type", "application/grpc"), *((name.replace("_", "-"), value) for name, value in more.items())),
    ]


def block(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Fields as bytes that need no table."""
    return bytes(hpack.Encoder().encode([(name, value, True) for name, value in pairs], huffman=False))


class Memory(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = self.ended = self.paused = False
        #: Bytes that the client has not read.
        self.unread = 0

    def write(self, data: Any) -> None:
        assert not self.closed
        assert not self.ended
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.unread


class LatePredictor(HeldPredictor):
    """Holds the requests that want the output `late`, and answers the others at once."""

    def submit(self, request: Request, done: Done) -> Pending:
        """Hold, or answer."""
        return super().submit(request, done) if request.outputs else ECHOING.submit(request, done)


def said(body: bytes) -> Response:
    """What the model says where it is to answer with this message."""
    return Response({"body": np.frombuffer(body, np.uint8)}, 1, IDENTITY, Timings(0.0, 0.0, 1))


class Peer:
    """The server's side of a connection, with methods that echo, and what it has sent.

    All methods predict but `HANDLED` and `WATCH`, which are handlers that run in tasks.

    Attributes:
        asked: the requests that were decoded.
        codes: of the events.
    """

    def __init__(self, limits: Limits | None = None, *, connections: int = 0) -> None:
        self.asked: list[HttpRequest] = []
        self.predictor = LatePredictor(ECHOING)
        self.handled: Callable[[HttpRequest], Awaitable[HttpReply]] = self._echo
        self.codes: list[str] = []
        self.counted: list[int] = []
        methods = (
            Method(ECHO),
            Method(LATE),
            Method(TALK, "both"),
            Method(TALK_ON, "both", lambda reply: b"fault: " + (reply.message or "").encode()),
            Method(TALK_LATE, "both"),
            Method(WATCH, "answers"),
            Method(HANDLED),
        )
        limits = limits or Limits()
        service = msgspec.structs.replace(classifier(), identity=IDENTITY, predictor=self.predictor)
        late = (LATE, TALK_LATE)
        decoders = [decoder(path, self._decode_late if path in late else self._decode) for path in PREDICTING]
        handlers = owner(("POST", WATCH, self._watch), ("POST", HANDLED, self._handle))
        server = (*decoders, handlers)
        app = model_app(service, server=server, observer=self, max_body_bytes=limits.max_body_bytes)
        (self._served,) = app.models
        self.state = H2ServerState(app, methods, limits, self.counted.append)
        for _ in range(connections):
            self.connect()
        self.transport, self.connection = self.connect()

    @property
    def held(self) -> list[HeldRequest]:
        """What the calls of `LATE` wait for."""
        return self.predictor.held

    @property
    def given_up(self) -> int:
        """How many of them were cancelled."""
        return sum(request.cancelled for request in self.held)

    def connect(self) -> tuple[Memory, H2Connection]:
        transport, connection = Memory(), H2Connection(self.state, clock=lambda: 0.0)
        connection.connection_made(transport)
        return transport, connection

    def send(self, *parts: bytes) -> None:
        self.connection.data_received(b"".join(parts))

    def call(self, number: int, body: bytes = b"") -> None:
        """GrpcCall `ECHO` with one message."""
        self.send(head(number), data(number, message(body), last=True))

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """What was sent since this was asked before."""
        splitter = h2_frames.FrameSplitter()
        found = list(splitter.feed(h2_frames.PREFACE + bytes(self.transport.sent)))
        assert not splitter.partial
        self.transport.sent.clear()
        return found

    def answer(self) -> None:
        """Answer the calls that are held."""
        held = [*self.held]
        self.held.clear()
        for request in held:
            request.answer(said(b"answer"))

    def ended(self) -> bool:
        """Whether the server will send no more."""
        return self.transport.ended

    def closed(self) -> bool:
        """Whether it has closed the connection."""
        return self.transport.closed

    def paused(self) -> bool:
        """Whether it reads nothing for now."""
        return self.transport.paused

    def kinds(self) -> list[int]:
        return [kind for kind, *_ in self.frames()]

    def goaway(self) -> tuple[int, int]:
        """The last stream and the code of the only last word; nothing may follow it."""
        *_, (kind, _, number, payload) = self.frames()
        assert (kind, number) == (h2_frames.GOAWAY, 0)
        return int.from_bytes(payload[:4]), int.from_bytes(payload[4:8])

    def resets(self) -> list[tuple[int, int]]:
        """The streams that were reset, with the codes."""
        return [
            (number, int.from_bytes(payload))
            for kind, _, number, payload in self.frames()
            if kind == h2_frames.RST_STREAM
        ]

    def pass_time(self, seconds: int) -> None:
        """Let the sweep come so many times."""
        for _ in range(seconds):
            self.state.registry.seconds += 1
            if not self.transport.closed:
                self.connection.check_timeouts()

    async def turn(self, times: int = 5) -> None:
        """Let the loop run what is due."""
        for _ in range(times):
            await asyncio.sleep(0)

    def _decode(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        self.asked.append(http)
        if http.body == b"bad":
            raise Malformed("It is bad: 100 % ü.")
        return self._served, Request({}, 1, "the-id"), lambda *_: HttpReply(200, http.body, "the-id", PROTOBUF)

    def _decode_late(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        self.asked.append(http)
        request = Request({}, 1, "the-id", outputs=("late",))
        return self._served, request, _message_of

    async def _handle(self, http: HttpRequest) -> HttpReply:
        return await self.handled(http)

    async def _echo(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, http.body, "the-id", PROTOBUF)

    async def _watch(self, http: HttpRequest) -> HttpReply:
        if http.body == b"bad":
            raise Malformed("It is bad.")
        return HttpReply(200, b"draining" if self.state.draining else b"serving", "the-id", PROTOBUF)

    def started(self) -> None:
        """Nothing is counted."""

    def finished(self, event: Finished) -> None:
        self.codes.append(event.code)


def _message_of(request: Request, response: Response) -> HttpReply:
    return HttpReply(200, response.tensors["body"].tobytes(), request.id, PROTOBUF)


def head(number: int, path: str = ECHO, *, last: bool = False, **more: str) -> bytes:
    return h2_frames.headers(number, block(fields(path, **more)), last=last)


def data(number: int, body: bytes, *, last: bool = False) -> bytes:
    """DATA frames with a body."""
    pieces = [body[at : at + h2_frames.MAX_FRAME_BYTES] for at in range(0, len(body), h2_frames.MAX_FRAME_BYTES)] or [
        b""
    ]
    flags = [0] * (len(pieces) - 1) + [h2_frames.END_STREAM if last else 0]
    return b"".join(
        h2_frames.frame(h2_frames.DATA, flag, number, piece) for flag, piece in zip(flags, pieces, strict=True)
    )


class Answer:
    """What a client has got of one call."""

    def __init__(self) -> None:
        self.head: dict[bytes, bytes] = {}
        self.body = b""
        self.trailers: dict[bytes, bytes] = {}
        self.done = False
        self.reset: int | None = None

    def ended(self) -> bool:
        """Whether nothing follows."""
        return self.done

    @property
    def messages(self) -> list[bytes]:
        found, rest = [], self.body
        while rest:
            end = 5 + int.from_bytes(rest[1:5])
            found.append(rest[5:end])
            rest = rest[end:]
        return found

    @property
    def status(self) -> int:
        return int({**self.head, **self.trailers}[b"grpc-status"])


class Client:
    """A client that keeps the protocol, and notices where the server does not."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        #: The last stream and the code of each GOAWAY.
        self.farewells: list[tuple[int, int]] = []
        self.acknowledging = True
        self.exchange()

    def ask(self, path: str = ECHO, *messages: bytes, last: bool = True, **more: str) -> Answer:
        """Begin a call, and send whole messages as they are."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields(path, **more), end_stream=last and not messages)
        self.answers[number] = answer = Answer()
        if messages:
            self.say(number, b"".join(messages), last=last)
        self.exchange()
        return answer

    def say(self, number: int, body: bytes, *, last: bool = False) -> None:
        """Send as much as the windows allow, and the rest when they do."""
        while body:
            size = min(len(body), self.h2.local_flow_control_window(number), h2_frames.MAX_FRAME_BYTES)
            assert size > 0
            self.h2.send_data(number, body[:size], end_stream=last and size == len(body))
            body = body[size:]
            self.exchange()

    def exchange(self) -> None:
        """Carry bytes in both directions until there are none."""
        while True:
            out = self.h2.data_to_send()
            if out and not self.peer.closed():
                self.peer.send(out)
            back = bytes(self.peer.transport.sent)
            self.peer.transport.sent.clear()
            if not out and not back:
                return
            for event in self.h2.receive_data(self._parted(back)):
                self._note(event)

    def _parted(self, back: bytes) -> bytes:
        """What came without farewells: h2 would understand no more of the connection after the first."""
        rest = []
        for each in h2_frames.FrameSplitter().feed(h2_frames.PREFACE + back):
            if each[0] == h2_frames.GOAWAY:
                self.farewells.append((int.from_bytes(each[3][:4]), int.from_bytes(each[3][4:8])))
            elif each[3] == b"farewell":
                self.peer.send(h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, each[3]))
            else:
                rest.append(h2_frames.frame(*each))
        return b"".join(rest)

    def _note(self, event: Any) -> None:
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            answer.head = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.acknowledging:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)
        elif isinstance(event, h2.events.StreamEnded):
            answer.done = True


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on an event loop."""
    asyncio.run(scenario())
