"""Methods that do not predict: their handlers are ordinary coroutines."""

import asyncio

import pytest

from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.rpc.methods import PROTOBUF
from septet.server.h2 import h2_frames
from tests.server.h2.peer import HANDLED, Client, Peer, message, run


def test_a_handler_that_awaits_is_answered_when_it_is_done() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)

        async def handled(http: HttpRequest) -> HttpReply:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            return HttpReply(200, http.body, "the-id", PROTOBUF)

        peer.handled = handled
        answer = client.ask(HANDLED, message(b"ab"))
        assert not answer.ended()
        await peer.turn(10)
        client.exchange()
        assert (answer.messages, answer.status) == ([b"ab"], 0)

    run(scenario)


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_a_handler_whose_caller_goes_away_is_cancelled_and_cleans_up(leave: str) -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        cleaned: list[str] = []

        async def handled(_: HttpRequest) -> HttpReply:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                cleaned.append("up")
            raise AssertionError

        peer.handled = handled
        client.ask(HANDLED, message(b""))
        await peer.turn()
        peer.transport.sent.clear()
        if leave == "reset":
            peer.send(h2_frames.rst_stream(1, h2_frames.ErrorCode.CANCEL))
        else:
            peer.connection.connection_lost(None)
        await peer.turn()
        assert cleaned == ["up"]
        assert peer.codes == ["cancelled"]
        assert peer.kinds() == []

    run(scenario)
