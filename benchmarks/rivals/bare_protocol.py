"""The least that can answer: httptools and uvloop, decode, run, encode; no limits, checks, ids or metrics.

What a full server adds to this is its price.
"""

import asyncio
import sys

import httptools
import msgspec
import numpy as np
import uvloop
from session import make_session


class Body(msgspec.Struct):
    data: list[list[float]]


decode = msgspec.json.Decoder(Body).decode
encode = msgspec.json.Encoder().encode
session = make_session()


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        rows = np.array(decode(self.body).data, dtype=np.float32)
        self.body = b""
        answer = encode({"prediction": session.run(["probabilities"], {"input": rows})[0].tolist()})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
        self.transport.write(head + answer)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


uvloop.run(main(int(sys.argv[1])))
