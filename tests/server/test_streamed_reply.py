"""Replies that are written piece by piece: each is sent when it is there, and what follows waits for the last one."""

import pytest

from tests.server.memory import HOST, MemoryTransport, Peer

PIECES = b"GET /pieces HTTP/1.1\r\n" + HOST + b"\r\n"
ECHO = b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"

pytestmark = pytest.mark.usefixtures("loop")


def test_a_piece_is_sent_when_it_is_there_and_the_connection_is_kept() -> None:
    peer = Peer().send(PIECES)
    assert peer.transport.written.endswith(b"6\r\nfirst,\r\n")
    assert b"transfer-encoding: chunked" in peer.transport.written
    assert b"content-length" not in peer.transport.written
    peer.piece(b"second,")
    assert peer.transport.written.endswith(b"7\r\nsecond,\r\n")
    peer.piece(b"")
    assert peer.transport.written.endswith(b"7\r\nsecond,\r\n")
    peer.piece(None)
    (answer,) = peer.answers
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"first,second,", "text/plain")
    peer.send(ECHO)
    assert peer.statuses == [200, 200]
    assert peer.transport.open


def test_what_is_asked_behind_it_is_answered_behind_its_last_piece() -> None:
    peer = Peer().send(PIECES + ECHO)
    assert peer.transport.written.count(b"HTTP/1.1 200") == 1
    peer.piece(None)
    assert [answer.body[:7] for answer in peer.answers] == [b"first,", b'["GET",']


def test_a_client_that_goes_away_ends_it() -> None:
    peer = Peer().send(PIECES)
    peer.call(peer.connection.connection_lost, None)
    assert peer.pieces.ended == 1
    assert not peer.state.registry


def test_a_client_that_has_ended_its_sending_gets_all_of_it() -> None:
    peer = Peer().send(PIECES)
    assert peer.connection.eof_received()
    peer.seconds_pass(3)
    peer.piece(None)
    assert [answer.body for answer in peer.answers] == [b"first,"]
    assert not peer.transport.open


def test_a_client_of_http_1_0_gets_it_without_chunks_until_the_connection_ends() -> None:
    peer = Peer().send(b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    peer.piece(b"second")
    head, _, body = peer.transport.written.partition(b"\r\n\r\n")
    assert body == b"first,second"
    assert b"connection: close" in head
    ended = [peer.transport.ended]
    peer.piece(None)
    ended.append(peer.transport.ended)
    assert ended == [False, True]
    assert peer.transport.written.endswith(b"first,second")


def test_the_head_alone_has_no_pieces() -> None:
    peer = Peer().send(PIECES.replace(b"GET", b"HEAD"))
    head, _, body = peer.transport.written.partition(b"\r\n\r\n")
    assert (body, b"content-length" in head) == (b"", False)
    peer.transport.written = b""
    peer.send(ECHO)
    assert peer.statuses == [200]


def test_pieces_that_fail_are_not_taken_for_the_whole() -> None:
    peer = Peer().send(PIECES)
    peer.piece(RuntimeError("no more"))
    assert peer.transport.aborted
    assert not peer.answers


def test_a_server_that_stops_closes_behind_the_last_piece() -> None:
    peer = Peer().send(PIECES)
    peer.call(peer.connection.shutdown)
    assert not peer.transport.ended
    peer.piece(None)
    assert [answer.body for answer in peer.answers] == [b"first,"]
    assert peer.transport.ended


def test_a_client_that_reads_nothing_of_it_is_cut_off() -> None:
    peer = Peer().send(PIECES)
    peer.call(peer.connection.pause_writing)
    transport: MemoryTransport = peer.transport
    transport.unsent = 10
    peer.seconds_pass(200)
    assert transport.aborted
