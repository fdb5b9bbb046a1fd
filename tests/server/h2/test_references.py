"""A connection and its calls are freed when they end, by their reference counts: the collector seldom runs."""

import gc
from collections.abc import Callable, Iterator

import pytest

from septet.server.freed_memory import MAX_ABANDONED_BYTES
from septet.server.h2 import h2_frames
from septet.server.h2.flow_control import FlowControlledWriter
from septet.server.h2.frame_reader import FrameReader
from septet.server.h2.grpc_calls import GrpcCall
from septet.server.h2.h2_connection import H2Connection
from septet.server.h2.h2_frames import ErrorCode
from septet.server.h2.h2_streams import H2Streams
from septet.server.h2.header_decoder import HeaderDecoder
from septet.settings import Limits
from tests.server.h2.peer import ECHO, HANDLED, HELLO, LATE, TALK, TALK_LATE, WATCH, Peer, data, head, message, run

ASKED = message(b"")


@pytest.fixture(autouse=True)
def _without_a_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


KINDS = (H2Connection, H2Streams, FlowControlledWriter, FrameReader, HeaderDecoder, GrpcCall)


def alive() -> dict[int, type]:
    """The kinds of what there is of connections, by identity."""
    return {id(each): type(each) for each in gc.get_objects() if isinstance(each, KINDS)}


def abandoned(peer: Peer) -> None:
    """Nothing more happens before the client leaves."""


def stalled(peer: Peer) -> None:
    """The client grants nothing."""
    peer.send(h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: 0}))


def drained(peer: Peer) -> None:
    """The time is over in which the client could acknowledge."""
    peer.connection.shutdown()
    peer.connection._refuse_streams()


def asked(path: str, number: int = 1) -> bytes:
    return head(number, path) + data(number, ASKED, last=True)


PHASES: dict[str, tuple[bytes, Callable[[Peer], object]]] = {
    "new": (b"", abandoned),
    "opened": (head(1), abandoned),
    "half a head": (h2_frames.frame(h2_frames.HEADERS, 0, 1, b"\0"), abandoned),
    "half a message": (head(1) + data(1, ASKED[:3]), abandoned),
    "a large message": (head(1) + data(1, b"\0\0\xff\xff\xff" + bytes(60_000)), abandoned),
    "answered": (asked(ECHO), abandoned),
    "waiting for the model": (asked(LATE), abandoned),
    "waiting for a handler": (asked(HANDLED), abandoned),
    "a conversation": (head(1, TALK) + data(1, ASKED), abandoned),
    "a conversation that waits": (head(1, TALK_LATE) + data(1, ASKED * 3), abandoned),
    "watching": (asked(WATCH), abandoned),
    "cancelled": (asked(LATE) + h2_frames.rst_stream(1, ErrorCode.CANCEL), abandoned),
    "against the rules": (head(1) + h2_frames.window_update(1, 0), abandoned),
    "failed": (asked(LATE) + data(0, b"x"), abandoned),
    "an answer that is not taken": (
        h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: 0}) + head(1) + data(1, message(bytes(70_000)), last=True),
        abandoned,
    ),
    "answered late": (asked(LATE), lambda peer: peer.answer()),
    "draining": (asked(LATE), lambda peer: peer.connection.shutdown()),
    "drained": (
        asked(LATE) + h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, b"farewell"),
        drained,
    ),
    "not read": (asked(ECHO), lambda peer: peer.connection.pause_writing()),
    "aborted": (asked(LATE), lambda peer: peer.connection.abort()),
    "timed out": (head(1) + data(1, ASKED[:3]), lambda peer: peer.pass_time(40)),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_connection_and_its_calls_are_gone_when_the_client_is(phase: str) -> None:
    sent, act = PHASES[phase]

    async def scenario() -> None:
        others = alive()
        peer = Peer(Limits(keep_alive_seconds=1000))
        peer.send(HELLO, sent)
        await peer.turn()
        act(peer)
        await peer.turn()
        assert H2Connection in {kind for each, kind in alive().items() if each not in others}
        peer.connection.connection_lost(None)
        await peer.turn()
        del peer.connection, peer.transport
        assert [kind for each, kind in alive().items() if each not in others] == []

    run(scenario)


def test_the_memory_of_much_that_was_abandoned_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = []
    monkeypatch.setattr("septet.server.freed_memory.return_freed_memory", lambda _: given_back.append(True))

    async def scenario() -> None:
        peer = Peer()
        for size in (100_000, MAX_ABANDONED_BYTES):
            peer.transport, peer.connection = peer.connect()
            peer.send(HELLO, head(1), data(1, b"\0" + (1_000_000).to_bytes(4) + b"x"))
            peer.connection._streams.calls[1]._buffer.extend(bytes(size))
            peer.connection.connection_lost(None)
            peer.state.registry.second_passed()
            assert given_back == [True] * (size > 100_000)

    run(scenario)
