"""Clients that mean no good, against a server process: others are answered, and memory, port and end are as promised.

Times are bounds that are promised for any machine, with a wide margin where this one may be busy.
"""

import contextlib
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hpack
import httpx
import pytest

from septet.server.h2 import h2_frames
from septet.server.h2.h2_frames import ErrorCode, Frame, frame
from tests.e2e.grpc_server import serving
from tests.e2e.process import ServerProcess
from tests.e2e.test_grpc_lifecycle import one_row
from tests.waiting import until

LIVE, INFER = "/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ModelInfer"
EMPTY = b"\0\0\0\0\0"
WIDE = 2**30


def framed(body: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(body)) + body


class RawClient:
    """A client of a server that writes what it likes, and reads what comes."""

    def __init__(self, address: str, *, window: int = WIDE) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.encoder = hpack.Encoder()
        self.splitter = h2_frames.FrameSplitter()
        self.found: list[Frame] = list(self.splitter.feed(h2_frames.PREFACE))
        ours = h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: window})
        self.send(h2_frames.PREFACE, ours, h2_frames.window_update(0, WIDE))

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def call(self, number: int, path: str = LIVE, body: bytes = EMPTY) -> bytes:
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers")]
        block = bytes(self.encoder.encode([*pairs, ("content-type", "application/grpc")]))
        return h2_frames.headers(number, block, last=False) + frame(h2_frames.DATA, 1, number, body)

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame that is wanted; raises EOFError where the connection ends before."""
        while True:
            for each in self.found:
                if wanted(each):
                    self.found = self.found[self.found.index(each) + 1 :]
                    return each
            received = self.socket.recv(1 << 16)
            if not received:
                raise EOFError
            self.found = list(self.splitter.feed(received))

    def last_word(self) -> ErrorCode:
        """Why the server has ended the connection."""
        *_, payload = self.until(lambda each: each[0] == h2_frames.GOAWAY)
        return ErrorCode(int.from_bytes(payload[4:8]))

    def close(self) -> None:
        self.socket.close()


def is_answer(each: Frame) -> bool:
    return each[0] == h2_frames.HEADERS and bool(each[1] & h2_frames.END_STREAM)


def flood(client: RawClient, pieces: Iterator[bytes], seconds: float) -> None:
    """Send without pause for so long, or until the server has had enough; read what comes."""
    end = time.monotonic() + seconds

    def drain() -> None:
        try:
            while client.socket.recv(1 << 18):
                pass
        except OSError:
            pass

    reading = threading.Thread(target=drain)
    reading.start()
    try:
        while time.monotonic() < end:
            client.send(next(pieces))
    except OSError:
        pass
    with contextlib.suppress(OSError):
        client.socket.shutdown(socket.SHUT_RDWR)
    reading.join()


def repeated(piece: bytes) -> Callable[[RawClient], Iterator[bytes]]:
    def pieces(_: RawClient) -> Iterator[bytes]:
        while True:
            yield piece * 3000

    return pieces


def calls(
    path: str, body: bytes, more: Callable[[int], bytes] = lambda _: b""
) -> Callable[[RawClient], Iterator[bytes]]:
    def pieces(client: RawClient) -> Iterator[bytes]:
        number = 1
        while True:
            numbers = range(number, number + 400, 2)
            yield b"".join(client.call(each, path, body) + more(each) for each in numbers)
            number += 400

    return pieces


FLOODS = {
    "priorities": repeated(frame(h2_frames.PRIORITY, 0, 1, bytes(5))),
    "unknown frames": repeated(frame(99, 0, 0)),
    "windows": repeated(h2_frames.window_update(0, 1)),
    "pings": repeated(frame(h2_frames.PING, 0, 0, bytes(8))),
    "calls": calls(INFER, framed(one_row())),
    "calls of no method": calls("/no/Method", EMPTY),
    "calls that are cancelled": calls(LIVE, EMPTY, lambda number: h2_frames.rst_stream(number, ErrorCode.CANCEL)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    with serving(tmp_path_factory.mktemp("fire") / "log") as (process, address):
        yield process, address


@pytest.mark.parametrize("kind", FLOODS)
def test_no_client_is_starved_by_another(server: tuple[ServerProcess, str], kind: str) -> None:
    process, address = server
    client, other = RawClient(address), RawClient(address)
    flooding = threading.Thread(target=flood, args=(client, FLOODS[kind](client), 2.0))
    lines = process.log.count("\n")
    flooding.start()
    waits: list[float] = []
    number = 1
    try:
        while flooding.is_alive():
            begun = time.monotonic()
            other.send(other.call(number))
            other.until(is_answer)
            number += 2
            assert process.client.get("/health/live").status_code == httpx.codes.OK
            waits.append(time.monotonic() - begun)
    finally:
        flooding.join()
        client.close()
        other.close()
    # 50 ms is the promise for each of the two; without bounds it is seconds.
    assert sorted(waits)[len(waits) // 2] < 0.5, max(waits)
    assert process.log.count("\n") - lines <= 1


def test_a_flood_is_told_to_be_calm_and_counted(server: tuple[ServerProcess, str]) -> None:
    process, address = server
    client = RawClient(address)
    client.send(frame(h2_frames.PRIORITY, 0, 1, bytes(5)) * 2000)
    assert client.last_word() is ErrorCode.ENHANCE_YOUR_CALM
    client.close()
    found = re.search(r'septet_requests_total\{code="overloaded",[^}]*\} (\d+)', process.client.get("/metrics").text)
    assert found is not None
    assert int(found[1]) > 0


def resident_bytes(process: ServerProcess) -> int:
    """Of the process, and those it has started."""
    pid = process.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(_resident, [pid, *map(int, children)]))


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found is not None else 0


def test_messages_that_are_never_complete_hold_no_more_than_is_stated(server: tuple[ServerProcess, str]) -> None:
    process, address = server
    before = resident_bytes(process)
    client = RawClient(address)
    leave: dict[int, int] = {}
    for number in range(1, 512, 2):
        whole = client.call(number, INFER, b"\0" + struct.pack(">I", 16_000_000))
        client.send(whole[:-14] + frame(h2_frames.DATA, 0, number, whole[-5:]))
        leave[number] = 131_072 - 5
    client.send(frame(h2_frames.PING, 0, 0, b"messages"))
    while True:
        kind, _, number, payload = client.until(lambda each: each[0] in (h2_frames.WINDOW_UPDATE, h2_frames.PING))
        if kind == h2_frames.PING:
            break
        if number:
            leave[number] += int.from_bytes(payload)
    assert sum(leave.values()) <= 64 << 20
    sent = 0
    for number, most in leave.items():
        for at in range(0, most, 16_384):
            piece = bytes(min(16_384, most - at, 15_999_990))
            if sent + len(piece) < 16 << 20:  # the connection's own window
                client.send(frame(h2_frames.DATA, 0, number, piece))
                sent += len(piece)
    client.send(frame(h2_frames.PING, 0, 0, b"messages"))
    client.until(lambda each: each[0] == h2_frames.PING)
    assert resident_bytes(process) - before < 128 << 20
    client.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_port_can_be_had_again_at_once_after_a_stop(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path / "first", "--workers", workers) as (process, address):
        client = RawClient(address)
        client.send(client.call(1))
        client.until(is_answer)
        process.process.send_signal(signal.SIGTERM)
        with pytest.raises(EOFError):
            client.until(lambda _: False)
        client.close()
        assert process.process.wait(60) == 0
    port = address.rsplit(":", 1)[1]
    with serving(tmp_path / "second", "--grpc-port", port, "--workers", workers) as (_, again):
        assert again == address


def test_a_client_that_never_stops_asking_is_told_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--grace-seconds", "20") as (process, address):
        client = RawClient(address)
        ended = threading.Event()

        def ask() -> None:
            number = 1
            try:
                while True:
                    client.send(client.call(number, INFER, framed(one_row())))
                    number += 2
            except OSError:
                ended.set()

        asking = threading.Thread(target=ask)
        asking.start()
        client.until(is_answer)
        process.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert client.last_word() is ErrorCode.NO_ERROR
        try:
            while client.socket.recv(1 << 18):
                pass
        except OSError:
            pass
        assert process.process.wait(60) == 0
        assert time.monotonic() - begun < 20
        until(ended.is_set)
        client.close()
        asking.join()
