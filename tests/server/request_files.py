"""The files that a warm request runs through: `python -m tests.server.request_files` lists them in order.

A request is warm when the same has come before on its connection. The server is real from the parser to the engine, but
the transport is memory, and nothing listens. What follows an answer in the same turn of the event loop belongs to the
request: counting it, and looking whether it is to be logged.
"""

import asyncio
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np

from septet.assembly.composition import application, layout, open_service
from septet.assembly.grpc_serving import grpc_server, grpc_templates
from septet.monitoring.log import AccessLog
from septet.monitoring.shared_metrics import SharedMetrics
from septet.monitoring.worker_metrics import TurnObservers
from septet.protocols.http.app import App
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.paths import INFER
from septet.server.connection_gauge import ConnectionGauge
from septet.server.h2.h2_connection import H2Connection
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.settings import Settings
from tests.server.h2 import peer
from tests.server.memory import HOST, MemoryTransport

PACKAGE = Path(__file__).parents[2] / "examples" / "iris"
SOURCE = str(Path(sys.modules["septet"].__file__ or "").parent) + "/"
ROW = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
TRACES = 5
WARM = 2


class RequestTrace:
    """Notes the source files whose functions are called while it is on, in the order of the first call."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(SOURCE) and (file := name.removeprefix(SOURCE)) not in self.files:
            self.files.append(file)


async def _traced(connection: asyncio.Protocol, sent: Callable[[], int], request: Callable[[int], bytes]) -> list[str]:
    """The files of the request that comes after so many of its kind that it is warm."""
    for number in range(WARM):
        await _answered(connection, sent, request(number))
    # A run that a busy machine holds up is noted in one file more.
    return min([await _files_of(connection, sent, request(WARM + number)) for number in range(TRACES)], key=len)


async def _files_of(connection: asyncio.Protocol, sent: Callable[[], int], data: bytes) -> list[str]:
    with RequestTrace() as trace:
        await _answered(connection, sent, data)
    return trace.files


async def _answered(connection: asyncio.Protocol, sent: Callable[[], int], data: bytes) -> None:
    before = sent()
    connection.data_received(data)
    async with asyncio.timeout(60):
        while sent() == before:  # noqa: ASYNC110 - the transport is memory
            await asyncio.sleep(0)
    # The turn's end.
    await asyncio.sleep(0)


def _post(path: str, body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"POST %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n%b" % (
        path.encode(),
        HOST,
        lines.encode(),
        len(body),
        body,
    )


def _sent(transport: MemoryTransport) -> int:
    return len(transport.written)


def _same(request: bytes, _: int) -> bytes:
    return request


async def request_files() -> dict[str, list[str]]:
    """The files of each kind of request."""
    settings, app = Settings(), App()
    service = open_service(PACKAGE, settings)
    identity, tensor = service.identity, service.signature.inputs[0]
    shared_metrics = SharedMetrics(layout(1, grpc_templates()))
    worker_metrics = shared_metrics.claim(0)
    worker_metrics.count_models([identity.name])
    observer = TurnObservers(worker_metrics, AccessLog(access=False))
    app.models.install(service)
    application(app, settings, observer, shared_metrics.snapshot, [identity.name])
    calls = grpc_server(app, settings, observer, [], ConnectionGauge(shared_metrics, 0))

    document = (
        f'{{"inputs":[{{"name":"{tensor.name}","shape":[1,4],"datatype":"FP32","parameters":{{"binary_data_size":16}}}}],'
        '"parameters":{"binary_data_output":true}}'
    ).encode()
    raw = struct.pack("<4f", *ROW[0])
    path = f"/v2/models/{identity.name}/infer"
    length = {"inference_header_content_length": str(len(document))}
    http = {
        "POST /predict": _post("/predict", b'{"data": [[5.1, 3.5, 1.4, 0.2]]}', content_type="application/json"),
        "V2 binary": _post(path, document + raw, content_type="application/octet-stream", **length),
    }
    asked = message("inference.ModelInferRequest")(model_name=identity.name)
    asked.inputs.add(name=tensor.name, datatype="FP32", shape=[1, 4])
    asked.raw_input_contents.append(raw)

    found: dict[str, list[str]] = {}
    for kind, request in http.items():
        transport, connection = MemoryTransport(), HttpConnection(HttpServerState(app, settings.limits, lambda _: None))
        connection.connection_made(transport)
        found[kind] = await _traced(connection, partial(_sent, transport), partial(_same, request))
    h2, memory = H2Connection(calls._state), peer.Memory()
    h2.connection_made(memory)
    h2.data_received(peer.HELLO)
    body = peer.message(asked.SerializeToString())

    def call(number: int) -> bytes:
        stream = 2 * number + 1
        return peer.head(stream, INFER) + peer.data(stream, body, last=True)

    found["gRPC"] = await _traced(h2, lambda: len(memory.sent), call)
    service.close()
    return found


if __name__ == "__main__":
    for kind, files in asyncio.run(request_files()).items():
        print(f"{kind}: {len(files)} files", *files, sep="\n    ")
