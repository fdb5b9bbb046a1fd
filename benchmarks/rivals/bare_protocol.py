"""The least that can answer: httptools and uvloop, no limits, checks, ids or metrics. What a server adds is its price.

MODE says what it answers: `predict` decodes, runs and encodes; `constant` sends the bytes of the file CONSTANT and
looks at nothing; `echo` sends back as many bytes as it got.
"""

import asyncio
import os
import sys
from pathlib import Path

import httptools
import msgspec
import numpy as np
import uvloop

mode = os.environ.get("MODE", "predict")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Body(msgspec.Struct):
    data: list[list[float]]


if mode == "predict":
    from session import make_session

    decode = msgspec.json.Decoder(Body).decode
    encode = msgspec.json.Encoder().encode
    session = make_session()
elif mode == "constant":
    constant = Path(os.environ["CONSTANT"]).read_bytes()


def answer(parts: list[bytes]) -> bytes:
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if mode == "constant":
        return constant
    if mode == "echo":
        return body
    rows = np.array(decode(body).data, dtype=np.float32)
    return encode({"prediction": session.run(["probabilities"], {"input": rows})[0].tolist()})


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.parts = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        body = answer(self.parts)
        self.parts = []
        self.transport.write(HEAD % len(body) + body)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


uvloop.run(main(int(sys.argv[1])))
