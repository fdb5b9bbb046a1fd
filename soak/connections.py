"""Client connections that do what they are told to, right or wrong: HTTP/1.1 and HTTP/2 over sockets."""

import contextlib
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import h2.config
import h2.connection
import h2.events

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_TIMEOUT = 60
_CONTINUE = 100


class Cut(Exception):
    """Raised where a connection ends before its answer."""


@dataclass(frozen=True)
class HttpAnswer:
    """One response."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The value of a header."""
        found = re.search(rb"\r\n%b: ([^\r]*)\r\n" % name, self.head, re.IGNORECASE)
        return None if found is None else found[1].decode()


class HttpClient:
    """One connection of HTTP/1.1."""

    def __init__(self, port: int) -> None:
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        except OSError as error:
            raise Cut(f"no connection: {error}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            Cut: the connection is lost.
        """
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Cut(str(error)) from error

    def answer(self) -> HttpAnswer:
        """Read the next response, interim ones as well.

        Raises:
            Cut: the connection ends before it is complete.
        """
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        head += b"\r\n"
        status, length = int(head[9:12]), _LENGTH.search(head)
        size = 0 if length is None or status == _CONTINUE else int(length[1])
        while len(rest) < size:
            self._rest = rest
            self._more()
            rest = self._rest
        self._rest = rest[size:]
        return HttpAnswer(status, head, rest[:size])

    def ended(self) -> bool:
        """Whether the server has closed; what still comes is read."""
        with contextlib.suppress(Cut):
            while True:
                self._more()
        return True

    def reset(self) -> None:
        """End with a reset."""
        reset(self.socket)

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            raise Cut(str(error)) from error
        if not data:
            raise Cut("closed")
        self._rest += data


def reset(connection: socket.socket) -> None:
    """End a connection so that the other side sees a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass
class GrpcAnswer:
    """What has come of one call."""

    status: int | None = None
    body: bytes = b""
    reset: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> bytes:
        """The only message."""
        return self.body[5:]

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.status is not None or self.reset


class GrpcClient:
    """One connection of HTTP/2."""

    def __init__(self, port: int) -> None:
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        except OSError as error:
            raise Cut(f"no connection: {error}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, GrpcAnswer] = {}
        try:
            self.flush()
        except Cut:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self, path: str, body: bytes | None, *, end: bool = True, headers: Iterable[tuple[str, str]] = ()) -> int:
        """Begin a call with one message, framed already, or only its head; it is sent by `flush`."""
        number = self.h2.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "here"), ("te", "trailers")]
        self.h2.send_headers(number, [*fields, ("content-type", "application/grpc"), *headers])
        if body is not None:
            self.h2.send_data(number, body, end_stream=end)
        self.answers[number] = GrpcAnswer()
        return number

    def flush(self) -> None:
        """Send what is to be sent.

        Raises:
            Cut: the connection is lost.
        """
        try:
            self.socket.sendall(self.h2.data_to_send())
        except OSError as error:
            raise Cut(str(error)) from error

    def wait(self, number: int) -> GrpcAnswer:
        """Read until a call is over.

        Raises:
            Cut: the connection ends before.
        """
        answer = self.answers[number]
        while not answer.over:
            try:
                data = self.socket.recv(1 << 16)
            except OSError as error:
                raise Cut(str(error)) from error
            if not data:
                raise Cut("closed")
            for event in self.h2.receive_data(data):
                self._note(event)
            self.flush()
        return self.answers.pop(number)

    def _note(self, event: Any) -> None:
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.ConnectionTerminated) and event.error_code:
            raise Cut(f"GOAWAY {event.error_code}: {event.additional_data!r}")
        if answer is None:
            return
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            answer.headers |= {str(name): str(value) for name, value in event.headers}
            if "grpc-status" in answer.headers:
                answer.status = int(answer.headers["grpc-status"])
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = True

    def close(self) -> None:
        """End it."""
        self.socket.close()
