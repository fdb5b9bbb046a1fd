"""What happens on the network: nobody there, no answer, half an answer, and a process that was forked."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import septet
from septet.errors import DeadlineExceeded, MissingExtra, SeptetError, Unavailable
from septet.remote.http_transport import AiohttpTransport, Urllib3Transport
from septet.remote.remote_calls import CallFailure, WireReply, WireRequest
from tests.e2e.process import IRIS, ServerProcess, free_port, septet_serve


class Peer:
    """A server that reads one request of each connection and sends it some bytes."""

    def __init__(self, *parts: bytes, hold: bool = False) -> None:
        self.parts = parts
        self.hold = hold
        self.connections = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                read = connection.recv(1 << 16)
                while read.startswith(b"POST") and not read.endswith(b"\r\n\r\nx"):  # its one byte comes by itself
                    read += connection.recv(1 << 16)
                for part in self.parts:
                    connection.sendall(part)
                    self._over.wait(0.01)
                if self.hold:
                    self._over.wait()


def ask(kind: str, url: str, timeout: float, retries: int = 0) -> Any:
    """The metadata of a server, asked for by threads' means or by coroutines'."""
    if kind == "threads":
        with septet.Client(url, timeout=timeout, retries=retries) as client:
            return client.metadata()

    async def metadata() -> Any:
        async with septet.AsyncClient(url, timeout=timeout, retries=retries) as client:
            return await client.metadata()

    return asyncio.run(metadata())


def send(kind: str, url: str, request: WireRequest) -> WireReply | CallFailure:
    """What a transport brings back for a request."""
    if kind == "threads":
        return Urllib3Transport(url, {}).send(request, 10.0)

    async def sent() -> WireReply | CallFailure:
        transport = AiohttpTransport(url, {})
        try:
            return await transport.send(request, 10.0)
        finally:
            await transport.close()

    return asyncio.run(sent())


@pytest.fixture(params=["threads", "coroutines"])
def kind(request: pytest.FixtureRequest) -> str:
    """How the client is driven."""
    return str(request.param)


def test_a_server_that_is_not_there_is_unavailable_at_its_address(kind: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=f"{url} could not be reached: .*Connect"):
        ask(kind, url, timeout=10.0, retries=1)


def test_a_host_without_an_address_is_unavailable(kind: str) -> None:
    with pytest.raises(Unavailable, match=r"http://nobody\.invalid could not be reached"):
        ask(kind, "http://nobody.invalid", timeout=10.0)


def test_a_grpc_server_that_is_not_there_is_unavailable_at_its_address(kind: str) -> None:
    url = f"grpc://127.0.0.1:{free_port()}"
    for address in (url, url.replace("grpc", "grpcs")):
        with pytest.raises(Unavailable, match=f"{address} could not be reached: .*refused"):
            ask(kind, address, timeout=10.0, retries=1)


def test_a_grpc_server_that_speaks_another_protocol_is_unavailable(kind: str) -> None:
    with Peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as peer, pytest.raises((Unavailable, DeadlineExceeded)):
        ask(kind, peer.url.replace("http", "grpc"), timeout=1.0)


def test_a_grpc_server_that_does_not_answer_is_left_at_the_deadline(kind: str) -> None:
    with Peer(hold=True) as peer, pytest.raises(DeadlineExceeded, match="did not answer within"):
        ask(kind, peer.url.replace("http", "grpc"), timeout=0.2)


def test_a_server_that_does_not_answer_is_left_at_the_deadline(kind: str) -> None:
    with Peer(hold=True) as peer, pytest.raises(DeadlineExceeded, match=f"{peer.url} did not answer within"):
        ask(kind, peer.url, timeout=0.2)


def test_a_server_that_answers_in_drops_is_left_at_the_deadline(kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    with Peer(head, *[b" "] * 2000) as peer, pytest.raises(DeadlineExceeded):
        ask(kind, peer.url, timeout=0.3)


@pytest.mark.parametrize(
    "parts",
    [(), (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{",), (b"SSH-2.0-OpenSSH_9.2\r\n",)],
    ids=["closed", "truncated", "another protocol"],
)
def test_a_connection_that_breaks_after_the_request_is_unavailable_and_not_asked_again(
    parts: tuple[bytes, ...], kind: str
) -> None:
    with Peer(*parts) as peer:
        failure = send(kind, peer.url, WireRequest("POST", "/", {}, b"x"))
        assert peer.connections == 1
    assert isinstance(failure, CallFailure)
    assert not failure.retryable
    assert isinstance(failure.error, Unavailable)
    assert "broke before the answer was complete" in failure.error.message


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        (b"transfer-encoding: chunked", (b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")),
        (b"connection: close", (b"ab", b"cde")),
    ],
    ids=["chunked", "until the end"],
)
def test_an_answer_whose_length_is_not_known_is_read_to_its_end(
    headers: bytes, parts: tuple[bytes, ...], kind: str
) -> None:
    with Peer(b"HTTP/1.1 200 OK\r\nX-Of: me\r\n" + headers + b"\r\n\r\n", *parts) as peer:
        reply = send(kind, peer.url, WireRequest("POST", "/", {}, b"x"))
    assert isinstance(reply, WireReply)
    assert (reply.status, reply.body, reply.headers["x-of"]) == (200, b"abcde", "me")


def test_a_redirect_is_not_followed(kind: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    with Peer(head) as peer, pytest.raises(SeptetError, match="answered with the status 302"):
        ask(kind, peer.url, timeout=10.0)


def test_the_extra_is_named_where_it_is_missing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("urllib3", "aiohttp"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'septet\[client\]'"):
        ask(kind, "http://localhost", timeout=1.0)


def test_the_extra_of_grpc_is_named_where_it_is_missing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("septet.remote.channel_factory.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'septet\[grpc-client\]'"):
        ask(kind, "grpc://localhost:1", timeout=1.0)


FORKED = """
import os, sys
import numpy, septet
rows = numpy.array([[5.1, 3.5, 1.4, 0.2]])
client = septet.Client(sys.argv[1], timeout=30.0)
expected = client.predict(rows)
child = os.fork()
for _ in range(50):
    if not (client.predict(rows) == expected).all():
        os._exit(3)
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("wires")
    with ServerProcess(septet_serve(IRIS), folder / "log") as running:
        yield running


def test_a_client_may_be_used_on_both_sides_of_a_fork(server: ServerProcess) -> None:
    command = [sys.executable, "-c", FORKED, f"http://127.0.0.1:{server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_client_that_was_closed_may_be_used_again(server: ServerProcess) -> None:
    client = septet.Client(f"http://127.0.0.1:{server.port}", timeout=30.0)
    for _ in range(2):
        assert client.ready()
        client.close()


def test_a_coroutines_client_that_was_closed_may_be_used_again(server: ServerProcess) -> None:
    async def twice() -> None:
        client = septet.AsyncClient(f"http://127.0.0.1:{server.port}", timeout=30.0)
        for _ in range(2):
            assert await client.ready()
            await client.close()

    asyncio.run(twice())


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("localhost:8000", {}),
        ("ftp://localhost", {}),
        ("http://", {}),
        ("grpc://localhost", {}),
        ("http://localhost", {"transport": "grpc"}),
        ("http://localhost", {"transport": "protobuf"}),
        ("http://localhost", {"timeout": 0}),
        ("http://localhost", {"timeout": float("nan")}),
        ("http://localhost", {"timeout": float("inf")}),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|write grpc"):
        septet.Client(url, **{"timeout": 1.0, **options})
