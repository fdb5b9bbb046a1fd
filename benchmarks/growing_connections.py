"""What grows on connections to a real server: headers, chunks, frames; see `complexity`."""

import contextlib
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen

from benchmarks.complexity_inputs import GrowingInput, Work
from benchmarks.process import free_ports

_TIMEOUT = 60
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_ACK = _END_STREAM = 1
_END_HEADERS = 4
# How often each is asked.
_TIMES = 4


class MeasuredServer:
    """A server with wide limits on headers."""

    process: Popen[bytes] | None = None
    port = grpc_port = 0


_SERVER = MeasuredServer()


@contextlib.contextmanager
def served() -> Iterator[None]:
    """Let the server run."""
    _SERVER.port, _SERVER.grpc_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(_identity())
        limits = ("--max-headers", "10000", "--max-header-bytes", "16777216")
        ports = ("--port", str(_SERVER.port), "--grpc-port", str(_SERVER.grpc_port))
        command = [sys.executable, "-m", "septet", "serve", str(model), *ports, *limits]
        _SERVER.process = Popen(command, stdout=DEVNULL, stderr=DEVNULL)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    _connected(_SERVER.port).close()
                    break
                time.sleep(0.1)
            yield
        finally:
            _SERVER.process.terminate()
            _SERVER.process.wait(_TIMEOUT)


def _identity() -> bytes:
    from septet.runtimes.onnx.onnx_wire import encode

    sizes = encode(1, encode(2, "N")) + encode(1, encode(1, 4))
    kind = encode(2, encode(1, encode(1, 1) + encode(2, sizes)))
    node = encode(1, "x") + encode(2, "y") + encode(4, "Identity")
    graph = encode(1, node) + encode(2, "g") + encode(11, encode(1, "x") + kind) + encode(12, encode(1, "y") + kind)
    return encode(1, 8) + encode(7, graph) + encode(8, encode(2, 17))


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), _TIMEOUT)


def _asked(text: bytes) -> Work:
    """Seconds until a server has answered some requests."""

    def work() -> float:
        begun = time.perf_counter()
        with _connected(_SERVER.port) as connection:
            for _ in range(_TIMES):
                connection.sendall(text)
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += _received(connection)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise AssertionError(answer[:300])
                head, _, body = answer.partition(b"\r\n\r\n")
                length = next(
                    int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                while len(body) < length:
                    body += _received(connection)
        return time.perf_counter() - begun

    return work


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise AssertionError("the server closed the connection")
    return data


def _get(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /health/live HTTP/1.1", b"host: a", *lines, b"", b""])


def _chunked(count: int) -> bytes:
    body = b'{"data":[[1,2,3,4]]' + b" " * (8 * count) + b"}"
    chunks = [body[at : at + 8] for at in range(0, len(body), 8)]
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x\r\n%b\r\n" % (len(each), each) for each in chunks]) + b"0\r\n\r\n"


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return struct.pack("!I", len(body))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + body


def _calls(frames: Callable[[int, int], bytes], count: int) -> Work:
    """Seconds until a server has answered some calls, and a PING behind each."""

    def work() -> float:
        begun = time.perf_counter()
        with _connected(_SERVER.grpc_port) as connection:
            connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
            for at in range(_TIMES):
                mark = b"mark %03d" % at
                connection.sendall(frames(count, 2 * at + 1) + _frame(_PING, 0, 0, mark))
                answer = b""
                while mark not in answer:
                    answer = answer[-16:] + _received(connection)
        return time.perf_counter() - begun

    return work


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing (RFC 7541, section 6.2.2); lengths below 127."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def _in_frames(count: int, stream: int) -> bytes:
    """A call whose message comes in many frames of data."""
    path = b"/inference.GRPCInferenceService/ServerLive"
    fields = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"a"))
    more = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))
    head = b"".join([_literal(*each) for each in (*fields, *more)])
    message = b"\0" + struct.pack("!I", 256 * count - 5)
    data = [_frame(_DATA, 0, stream, part) for part in (message + b"\xfa" * 251, *[b"\xfa" * 256] * (count - 1))]
    return _frame(_HEADERS, _END_HEADERS, stream, head) + b"".join(data)


CONNECTIONS = (
    GrowingInput("header lines", lambda n: _asked(_get(*[b"x-a%d: b" % at for at in range(n)])), 1000, 8000),
    GrowingInput("characters of a header", lambda n: _asked(_get(b"x-a: " + b"b" * n)), 1 << 18, 1 << 22),
    GrowingInput("chunks of a body", lambda n: _asked(_chunked(n)), 2000, 1 << 15),
    GrowingInput("frames of a gRPC message", lambda n: _calls(_in_frames, n), 60, 240),
)
