"""Calls over HTTP/2, asked by a client that keeps the protocol and notices where the server does not."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.server.h2 import h2_frames
from septet.server.h2.grpc_headers import ResponseTrailers
from septet.server.h2.streaming_calls import MESSAGES_PER_TURN
from septet.settings import Limits
from septet.types import Identity
from tests.server.h2.peer import (
    ECHO,
    HELLO,
    LATE,
    TALK,
    TALK_LATE,
    TALK_ON,
    Answer,
    Client,
    Peer,
    head,
    message,
    run,
    said,
)
from tests.server.h2.peer import data as data_frames

INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 3, 8, 12, 13, 14


def test_a_call_is_answered_with_head_message_and_trailers() -> None:
    async def scenario() -> None:
        peer = Peer()
        answer = Client(peer).ask(ECHO, message(b"hello"), x_request_id="mine", x_more="passed over")
        assert answer.head == {b":status": b"200", b"content-type": b"application/grpc"}
        assert answer.messages == [b"hello"]
        assert (answer.status, answer.ended(), answer.reset) == (0, True, None)
        assert answer.trailers[b"septet-model"] == b"iris"
        assert dict(peer.asked[0].headers) == {b"x-request-id": b"mine", b"host": b"here"}

    run(scenario)


def test_many_calls_share_a_connection_and_are_answered_when_they_are_ready() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        calls = [client.ask(LATE, message(b"%d" % number)) for number in range(5)]
        for number in (3, 0, 4, 1, 2):
            peer.held[number].answer(said(b"answer %d" % number))
            await peer.turn()
            client.exchange()
            assert calls[number].messages == [b"answer %d" % number]
        assert all(call.ended() and call.status == 0 for call in calls)

    run(scenario)


@given(st.binary(max_size=300), st.lists(st.integers(0, 400)), st.sampled_from([b"", b"\0\0"]))
def test_answers_do_not_depend_on_how_bytes_are_cut(body: bytes, cuts: list[int], padding: bytes) -> None:
    async def scenario() -> None:
        whole, cut = Peer(), Peer()
        pad = bytes((len(padding),)) + message(body) + padding
        sent = (
            HELLO
            + head(1)
            + data_frames(1, message(body), last=True)
            + head(3, TALK)
            + data_frames(3, message(b"a") + message(body))
            + h2_frames.frame(h2_frames.PING, 0, 0, b"12345678")
            + data_frames(3, message(b"b"), last=True)
            + head(5)
            + h2_frames.frame(h2_frames.DATA, h2_frames.PADDED | h2_frames.END_STREAM, 5, pad)
        )
        whole.send(sent)
        at = 0
        for place in [*sorted(min(place, len(sent)) for place in cuts), len(sent)]:
            cut.send(sent[at:place])
            at = place
        assert cut.transport.sent == whole.transport.sent
        assert [http.body for http in cut.asked] == [body, b"a", body, b"b", body]

    run(scenario)


def test_a_message_may_come_in_many_frames_and_its_end_alone() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, head(1), data_frames(1, b"\0\0"), data_frames(1, b"\0\0\2a"), data_frames(1, b"b"))
        assert not peer.asked
        peer.send(data_frames(1, b"", last=True))
        assert [http.body for http in peer.asked] == [b"ab"]
        assert peer.kinds()[-3:] == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]

    run(scenario)


def test_trailers_of_a_client_end_its_call() -> None:
    async def scenario() -> None:
        peer = Peer()
        trailers = h2_frames.headers(1, b"\0\1a\1b", last=True)
        peer.send(HELLO, head(1), data_frames(1, message(b"ab")), trailers)
        assert [http.body for http in peer.asked] == [b"ab"]

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "more", "status", "text"),
    [
        ((message(b"bad"),), {}, INVALID, b"It is bad: 100 %25 %C3%BC."),
        ((message(b"one"), message(b"two")), {}, UNIMPLEMENTED, b"takes one message, not several"),
        ((), {}, UNIMPLEMENTED, b"takes one message, and none came"),
        ((b"\0\0\0\0\5ab",), {}, INVALID, b"ended within its message"),
        ((b"\7\0\0\0\0",), {}, INVALID, b"must begin with the byte 0 or 1"),
        ((message(bytes(2000)),), {}, EXHAUSTED, b"over the limit of 1000"),
        (
            (message(gzip.compress(bytes(2000)), flag=1),),
            {"grpc_encoding": "gzip"},
            EXHAUSTED,
            b"over the limit of 1000",
        ),
        ((message(b"no gzip", flag=1),), {"grpc_encoding": "gzip"}, INVALID, b"cannot be expanded"),
        ((message(b"ab", flag=1),), {}, INTERNAL, b"no grpc-encoding says how"),
        ((message(b"ab"),), {"grpc_encoding": "snappy"}, UNIMPLEMENTED, b"'snappy' of messages is not read"),
        ((message(b"ab"),), {"more": "x" * 40_000}, EXHAUSTED, b"over the limit of 32768 bytes"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_by_status_and_text(
    sent: tuple[bytes, ...], more: dict[str, str], status: int, text: bytes
) -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_body_bytes=1000))
        client = Client(peer)
        answer = client.ask(ECHO, *sent, last=True, **more)
        assert (answer.status, answer.ended(), answer.reset) == (status, True, None)
        assert text in {**answer.head, **answer.trailers}[b"grpc-message"]
        assert len(peer.codes) == 1
        assert client.ask(ECHO, message(b"ab")).messages == [b"ab"]

    run(scenario)


def test_a_method_that_there_is_not_is_told_so() -> None:
    async def scenario() -> None:
        answer = Client(Peer()).ask("/t.T/No", message(b"ab"))
        assert answer.status == UNIMPLEMENTED
        assert answer.head[b"grpc-message"] == b"There is no method '/t.T/No' here."
        assert answer.head[b"grpc-accept-encoding"] == b"identity, deflate, gzip"

    run(scenario)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_messages_may_be_compressed_each_by_itself(coding: str, pack: object) -> None:
    assert callable(pack)

    async def scenario() -> None:
        client = Client(Peer())
        assert client.ask(ECHO, message(pack(b"ab"), flag=1), grpc_encoding=coding).messages == [b"ab"]
        assert client.ask(ECHO, message(b"ab"), grpc_encoding=coding).messages == [b"ab"]
        talk = client.ask(TALK, message(pack(b"a"), flag=1), message(b"b"), grpc_encoding=coding)
        assert talk.messages == [b"a", b"b"]

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "status"), [({"content_type": "application/json"}, b"415"), ({"method": "GET"}, b"405")]
)
def test_what_is_no_call_is_answered_as_http_does(sent: dict[str, str], status: bytes) -> None:
    async def scenario() -> None:
        client = Client(Peer())
        number = client.h2.get_next_available_stream_id()
        pairs = [(":method", sent.get("method", "POST")), (":scheme", "http"), (":path", ECHO), (":authority", "here")]
        client.h2.send_headers(number, [*pairs, ("content-type", sent.get("content_type", "application/grpc"))])
        client.answers[number] = answer = Answer()
        client.exchange()
        assert (answer.head[b":status"], answer.ended(), answer.reset) == (status, True, 0)

    run(scenario)


def test_a_refused_call_need_not_be_sent_to_its_end() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_body_bytes=100))
        client = Client(peer)
        answer = client.ask(ECHO, message(bytes(5000))[:1000], last=False)
        assert (answer.status, answer.ended(), answer.reset) == (EXHAUSTED, True, 0)
        peer.send(data_frames(1, bytes(1000)), data_frames(1, bytes(1000), last=True))
        assert peer.kinds() == []
        assert client.ask(ECHO, message(b"ab")).messages == [b"ab"]

    run(scenario)


def test_a_client_that_resets_a_call_or_leaves_gives_up_its_requests() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        for _ in range(3):
            client.ask(LATE, message(b""))
        client.h2.reset_stream(1)
        client.exchange()
        await peer.turn()
        assert peer.given_up == 1
        peer.connection.connection_lost(None)
        await peer.turn()
        assert peer.given_up == 3
        assert peer.codes == ["cancelled"] * 3
        assert peer.counted[-1] == 0

    run(scenario)


def test_an_answer_waits_for_the_windows_of_the_client() -> None:
    async def scenario() -> None:
        client = Client(Peer())
        client.acknowledging = False
        body = bytes(range(256)) * 1000
        answer = client.ask(ECHO, message(body))
        assert len(answer.body) == 65_535
        other = client.ask(ECHO, message(b"ab"))
        assert not other.ended()
        client.h2.increment_flow_control_window(10, 1)
        client.exchange()
        assert len(answer.body) == 65_535
        client.h2.increment_flow_control_window(100_000)
        client.exchange()
        assert len(answer.body) == 65_545
        assert other.messages == [b"ab"]
        client.h2.update_settings({4: 200_000})
        client.h2.increment_flow_control_window(300_000)
        client.exchange()
        assert len(answer.body) == 200_010
        client.h2.increment_flow_control_window(100_000, 1)
        client.exchange()
        assert answer.messages == [body]
        assert (answer.status, answer.ended()) == (0, True)

    run(scenario)


def test_a_failure_behind_an_answer_that_waits_comes_after_it() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(body_timeout_seconds=5, max_body_bytes=1_000_000))
        client = Client(peer)
        client.acknowledging = False
        answer = client.ask(TALK, message(bytes(100_000)), message(b"bad"), message(b"no more"))
        assert len(answer.body) == 65_535
        client.h2.increment_flow_control_window(100_000)
        client.h2.increment_flow_control_window(100_000, 1)
        client.exchange()
        assert answer.messages == [bytes(100_000)]
        assert (answer.status, answer.ended()) == (INVALID, True)
        assert [http.body for http in peer.asked][1:] == [b"bad"]

    run(scenario)


def test_a_large_message_is_given_leave_to_come() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        body = bytes(9_000_000)
        answer = client.ask(ECHO, message(body)[:1000], last=False)
        for at in range(1000, len(body) + 5, 300_000):
            client.say(1, message(body)[at : at + 300_000], last=at + 300_000 >= len(body) + 5)
        assert answer.messages == [body]
        again = client.ask(TALK, last=False)
        for at in range(0, len(body) + 5, 300_000):
            client.say(3, message(body)[at : at + 300_000])
        assert again.messages == [body]

    run(scenario)


def test_a_conversation_answers_each_message_in_turn_and_ends_with_the_client() -> None:
    async def scenario() -> None:
        client = Client(Peer())
        answer = client.ask(TALK, message(b"a"), message(b"b"), message(b"c")[:3], last=False)
        assert answer.messages == [b"a", b"b"]
        client.say(1, message(b"c")[3:])
        assert answer.messages == [b"a", b"b", b"c"]
        assert not answer.ended()
        client.h2.end_stream(1)
        client.exchange()
        assert (answer.status, answer.ended(), answer.reset) == (0, True, None)
        assert client.ask(TALK).status == 0

    run(scenario)


def test_large_answers_of_a_conversation_come_one_after_the_other() -> None:
    async def scenario() -> None:
        bodies = [bytes((number,)) * 100_000 for number in range(4)]
        assert Client(Peer()).ask(TALK, *map(message, bodies)).messages == bodies

    run(scenario)


def test_a_thousand_messages_at_once_are_answered_in_their_order_some_in_each_turn() -> None:
    async def scenario() -> None:
        bodies = [b"%d" % number for number in range(3000)]
        client = Client(Peer())
        answer = client.ask(TALK, *map(message, bodies))
        assert 0 < len(answer.messages) < 1000
        before = len(answer.messages)
        while not answer.ended():
            await client.peer.turn(1)
            client.exchange()
            assert len(answer.messages) - before <= MESSAGES_PER_TURN
            before = len(answer.messages)
        assert answer.messages == bodies
        assert answer.status == 0

    run(scenario)


def test_a_conversation_that_is_cancelled_answers_no_more_of_what_has_come() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        client.ask(TALK, *(message(b"x") for _ in range(100)), last=False)
        client.h2.reset_stream(1)
        client.exchange()
        await peer.turn()
        assert len(peer.asked) == MESSAGES_PER_TURN

    run(scenario)


def test_a_conversation_may_go_on_after_a_failure() -> None:
    async def scenario() -> None:
        client = Client(Peer())
        assert client.ask(TALK_ON, message(b"bad"), message(b"b")).messages == [
            "fault: It is bad: 100 % ü.".encode(),
            b"b",
        ]
        ended = client.ask(TALK, message(b"a"), message(b"bad"), message(b"c"))
        assert (ended.messages, ended.status) == ([b"a"], INVALID)

    run(scenario)


@pytest.mark.parametrize(("sent", "text"), [(message(b"a")[:4], b"within a message"), (b"\7\0\0\0\0", b"byte 0 or 1")])
def test_a_conversation_that_is_cut_or_no_messages_is_an_invalid_argument(sent: bytes, text: bytes) -> None:
    async def scenario() -> None:
        answer = Client(Peer()).ask(TALK, message(b"ok") + sent)
        assert (answer.messages, answer.status) == ([b"ok"], INVALID)
        assert text in answer.trailers[b"grpc-message"]

    run(scenario)


def test_a_conversation_under_way_is_answered_before_the_server_ends_it() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        talk = client.ask(TALK_LATE, message(b"a"), message(b"b"), last=False)
        peer.connection.shutdown()
        client.exchange()
        for number in range(2):
            assert not talk.ended()
            peer.held[number].answer(said(b"answer %d" % number))
            await peer.turn()
            client.exchange()
        assert (talk.messages, talk.status) == ([b"answer 0", b"answer 1"], UNAVAILABLE)
        assert peer.ended()

    run(scenario)


def test_what_is_no_message_is_told_after_the_answer_to_what_was_one() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        talk = client.ask(TALK_LATE, message(b"a"), b"\7\0\0\0\0", last=False)
        peer.answer()
        await peer.turn()
        client.exchange()
        assert (talk.messages, talk.status) == ([b"answer"], INVALID)

    run(scenario)


def test_an_answer_with_many_metadata_goes_in_more_frames_than_one() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.state.trailers = ResponseTrailers(lambda: Identity("n" * 20_000, "1", "sha256:0"))
        answer = Client(peer).ask(ECHO, message(b"ab"))
        assert answer.trailers[b"septet-model"] == b"n" * 20_000

    run(scenario)


def test_every_message_of_a_conversation_has_the_time_that_is_left() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        client.ask(TALK, message(b"a"), grpc_timeout="5S")
        assert 4000 < int(peer.asked[0].headers[b"grpc-timeout"][:-1]) <= 5000
        assert client.ask(TALK, message(b"a"), grpc_timeout="soon").status == INVALID
        client.ask(TALK, message(b"a"), grpc_timeout="99999999H")
        assert peer.asked[1].headers[b"grpc-timeout"] == b"99999999m"

    run(scenario)
