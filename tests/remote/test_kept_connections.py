"""A server that closes a kept connection just when the next request is sent."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from septet.errors import Unavailable
from septet.remote.channels import AsyncChannel
from septet.remote.http_codec import HttpCodec
from septet.remote.http_transport import AiohttpTransport
from septet.remote.remote_calls import CallFailure, InferCall, WireReply, WireRequest
from septet.remote.retries import RetryBudget

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"outputs":[]}'
CALL = InferCall("iris", {}, ())
REQUEST = WireRequest("POST", "/", {}, b"x")


async def with_server(last: bytes, use: Callable[[str], Awaitable[None]]) -> int:
    """Use a server that answers a request of each connection, and the next with `last`; how many connections it had."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for answer in (ANSWER, last):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    return connections


def test_a_request_on_a_connection_that_the_server_closed_is_sent_once_more() -> None:
    budget = RetryBudget(limit=1.0)

    async def ask(url: str) -> None:
        channel = AsyncChannel(HttpCodec(url, "", binary=True), AiohttpTransport(url, {}), budget=budget)
        for _ in range(2):
            result = await channel.call(CALL, channel.attempts(1, 5.0))
            assert result.tensors == {}
        await channel.close()

    assert asyncio.run(with_server(b"", ask)) == 2
    assert not budget.spend(), "it must have cost a retry"


def test_without_retries_it_is_unavailable() -> None:
    async def ask(url: str) -> None:
        channel = AsyncChannel(HttpCodec(url, "", binary=True), AiohttpTransport(url, {}))
        await channel.call(CALL, channel.attempts(0, 5.0))
        with pytest.raises(Unavailable, match="broke before the answer was complete"):
            await channel.call(CALL, channel.attempts(0, 5.0))
        await channel.close()

    asyncio.run(with_server(b"", ask))


@pytest.mark.parametrize("last", [b"", ANSWER[:-1]], ids=["nothing", "half an answer"])
def test_only_what_had_no_answer_at_all_may_be_sent_again(last: bytes) -> None:
    outcomes: list[WireReply | CallFailure] = []

    async def ask(url: str) -> None:
        transport = AiohttpTransport(url, {})
        outcomes.extend([await transport.send(REQUEST, 5.0) for _ in range(2)])
        await transport.close()

    asyncio.run(with_server(last, ask))
    first, second = outcomes
    assert isinstance(first, WireReply)
    assert isinstance(second, CallFailure)
    assert (second.retryable, second.at_once) == (not last, not last)
