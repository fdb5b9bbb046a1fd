"""Clients that reset their connection at any place of a request or an answer, over both transports."""

import json
import socket
import struct
from collections.abc import Iterator

import pytest

from septet.server.h2 import h2_frames
from tests.e2e.process import IRIS, ServerProcess, free_port, septet_serve
from tests.server.h2.peer import HELLO, data, head, message
from tests.waiting import until

BODY = json.dumps({"data": [[5.1, 3.5, 1.4, 0.2]]}).encode()
REQUEST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)
METHOD = "/inference.GRPCInferenceService/ServerLive"
CALL = HELLO + head(1, METHOD) + data(1, message(b""), last=True)
#: The head of a call begins behind this; from there on it is one that was begun.
BEGUN = len(HELLO + head(1, METHOD))
STEP = 3


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    port = free_port()
    log = tmp_path_factory.mktemp("resets") / "log"
    with ServerProcess(septet_serve(IRIS, "--grpc-port", str(port)), log) as server:
        server.client.close()
        yield server, port


def reset(port: int, sent: bytes, answered: bytes = b"") -> None:
    """Send, wait for the beginning of an answer where one is expected, and reset the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(sent)
        received = b""
        while answered not in received:
            received += client.recv(10)
            assert received


def counted(server: ServerProcess) -> float:
    return server.metric("septet_requests_total") - server.metric("septet_requests_total", route="/metrics")


def rest(server: ServerProcess) -> None:
    """Wait until no connection is open but that of the question, and nothing is under way."""
    until(lambda: server.metric("septet_connections") <= 1 and server.metric("septet_in_flight") <= 1)


@pytest.mark.parametrize("request_bytes", [REQUEST, CHUNKED], ids=["length", "chunks"])
def test_a_request_that_is_reset_anywhere_is_counted_once_it_is_complete(
    served: tuple[ServerProcess, int], request_bytes: bytes
) -> None:
    server, _ = served
    before = counted(server)
    for cut in range(0, len(request_bytes), STEP):
        reset(server.port, request_bytes[:cut])
    rest(server)
    assert counted(server) == before
    for _ in range(10):
        reset(server.port, request_bytes, b"HTTP/1.1 200")
        reset(server.port, request_bytes + request_bytes[:20], b"HTTP/1.1 200")
    rest(server)
    assert counted(server) == before + 20
    assert "Traceback" not in server.log


def test_a_call_that_is_reset_anywhere_is_counted_once_it_is_begun(served: tuple[ServerProcess, int]) -> None:
    server, port = served
    before = counted(server)
    # The server's own settings show that it has accepted the connection.
    hello = h2_frames.frame(h2_frames.SETTINGS, h2_frames.ACK, 0)
    for cut in range(len(HELLO), BEGUN, STEP):
        reset(port, CALL[:cut], hello)
    rest(server)
    assert counted(server) == before
    begun = range(BEGUN, len(CALL) + 1, STEP)
    for cut in begun:
        reset(port, CALL[:cut] + h2_frames.frame(h2_frames.PING, 0, 0, bytes(8)) * (cut == BEGUN), hello)
    rest(server)
    until(lambda: counted(server) == before + len(begun))
    assert "Traceback" not in server.log
