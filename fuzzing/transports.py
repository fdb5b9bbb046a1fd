"""The bytes of connections, cut anywhere: HTTP/1.1 beside h11's parser, HTTP/2 beside itself, HPACK beside hpack's."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import h11
import hpack

from fuzzing.promise import Check, require
from septet.server.h2 import h2_frames
from septet.server.h2.hpack_decoder import TABLE_BYTES, HpackDecoder
from septet.settings import Limits
from tests.server.h2 import peer as h2_peer
from tests.server.memory import Answer, MemoryTransport, Peer, read

LIMITS = Limits(max_body_bytes=2000, max_header_bytes=4000, max_headers=20)
_MOST_PIECES = 40
_MOST_TABLE_UPDATES = 2
#: What a reply may have of the 5xx: a transfer encoding that is not read.
_UNIMPLEMENTED = b"501"
_CONTINUE, _OK = 100, 200
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\ncontent-type")
_PATHS = (h2_peer.ECHO, h2_peer.TALK, h2_peer.HANDLED, h2_peer.LATE, h2_peer.WATCH, "/", "/t.T/None")


def pieces(data: bytes, mode: int) -> list[bytes]:
    """The data, cut: whole, byte by byte, or in pieces of sizes that follow from the mode."""
    if mode == 0 or len(data) < 2:
        return [data]
    sizes, at, found, seed = max(len(data) // _MOST_PIECES, 1), 0, [], mode
    while at < len(data):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        size = sizes if mode == 1 else sizes + (seed >> 16) % (mode % 61 + 1)
        found.append(data[at : at + size])
        at += size
    return found


def http1() -> Check:
    """One connection of HTTP/1.1; the first byte says how the rest is cut."""
    loop, peer = asyncio.get_event_loop(), Peer(LIMITS)

    def check(data: bytes) -> None:
        if not data:
            return
        whole, cut = (loop.run_until_complete(_written(peer, data[1:], mode)) for mode in (0, data[0]))
        statuses = _STATUS.findall(whole)
        require(statuses == _STATUS.findall(cut), f"{whole!r}, but in pieces {cut!r}")
        require(all(each < b"500" or each == _UNIMPLEMENTED for each in statuses), f"{whole!r}")
        # A response to HEAD announces a body that does not come.
        if b"HEAD" not in data:
            one, other = ([each for each in read(written) if each.status != _CONTINUE] for written in (whole, cut))
            require(len(one) == len(statuses), f"{whole!r} are no responses")
            bodies = [[each.body for each in answers if each.status == _OK] for answers in (one, other)]
            require(bodies[0] == bodies[1], f"{bodies[0]}, but in pieces {bodies[1]}")
            _like_h11(data[1:], one)

    return check


async def _written(peer: Peer, data: bytes, mode: int) -> bytes:
    """What the server answers to a new connection that brings this, and ends."""
    transport = peer.transport = MemoryTransport()
    connection = peer.connect(transport)
    for piece in pieces(data, mode):
        if not transport.reading:
            await _settled(peer)
        if transport.closed or not transport.reading:
            break
        connection.data_received(piece)
    await _settled(peer)
    if not transport.closed:
        connection.eof_received()
        await _settled(peer)
    connection.connection_lost(None)
    await asyncio.sleep(0)
    return transport.written


async def _settled(peer: Peer) -> None:
    """Let the loop run until nothing more is written."""
    before = -1
    while before != len(peer.transport.written):
        before = len(peer.transport.written)
        for _ in range(3):
            await asyncio.sleep(0)
        for waiting in peer.slow.waiting:
            if not waiting.done():
                waiting.set_result(b"slow")
        peer.slow.waiting.clear()


def _like_h11(data: bytes, answers: list[Answer]) -> None:
    """Where both take all of the bytes as requests, they are the same requests."""
    if any(each.status != 200 for each in answers):
        return
    echoed = [json.loads(each.body) for each in answers if each.body.startswith(b"[")]
    if len(echoed) != len(answers):
        return
    theirs: list[tuple[str, str, str]] = []
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    parser.receive_data(b"")
    body = b""
    method = target = ""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                method, target, body = event.method.decode(), event.target.decode(), b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                theirs.append((method, target, body.decode("latin-1")))
                parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                parser.send(h11.EndOfMessage())
                if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE:
                    break
                parser.start_next_cycle()
            else:
                break
    except h11.ProtocolError:
        return
    if any("#" in target or not target.startswith("/") for _, target, _ in theirs):
        return
    ours = [(method, body) for method, _, _, _, body in echoed]
    require(ours == [(method, body) for method, _, body in theirs], f"{ours} were read, h11 reads {theirs}")


def http2() -> Check:
    """One connection of HTTP/2: the bytes behind the preface, or frames that are built from them."""
    loop, peer = asyncio.get_event_loop(), h2_peer.Peer(LIMITS)

    def check(data: bytes) -> None:
        if len(data) < 2:
            return
        wire = h2_peer.HELLO + (b"".join(_frames(data[2:])) if data[0] & 1 else data[2:])
        whole = loop.run_until_complete(_frames_of(peer, wire, 0))
        if data[1]:
            cut = loop.run_until_complete(_frames_of(peer, wire, data[1]))
            require(_summary(whole) == _summary(cut), f"{_summary(whole)}, but in pieces {_summary(cut)}")

    return check


def _frames(data: bytes) -> Iterator[bytes]:
    """Frames: a kind, flags, a stream and a size of a byte each, then the payload; heads of calls are written out."""
    at = 0
    while at + 4 <= len(data):
        kind, flags, stream, size = data[at : at + 4]
        payload = data[at + 4 : at + 4 + size]
        at += 4 + size
        if kind & 0x40:
            path = _PATHS[flags % len(_PATHS)]
            more = {"grpc-timeout": f"{size}m"} if flags & 0x40 else {}
            block = h2_peer.block([*h2_peer.fields(path), *more.items()])
            yield h2_frames.headers(stream, block, last=bool(flags & 0x80))
            at -= size
        elif kind & 0x80:
            yield h2_frames.frame(h2_frames.DATA, flags & 1, stream, h2_peer.message(payload))
        else:
            yield h2_frames.frame(kind % 11, flags, stream, payload)


def _summary(frames: list[tuple[int, int, int, bytes]]) -> dict[int, list[tuple[int, bytes]]]:
    """By stream, what was sent; windows and acknowledgements depend on how bytes arrive, and so does a call's id."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    for kind, _, stream, payload in frames:
        if kind in (h2_frames.DATA, h2_frames.RST_STREAM):
            found.setdefault(stream, []).append((kind, payload))
    return {
        stream: [(h2_frames.DATA, b"".join(part for kind, part in told if kind == h2_frames.DATA))]
        + [(kind, part) for kind, part in told if kind != h2_frames.DATA]
        for stream, told in found.items()
    }


async def _frames_of(peer: h2_peer.Peer, wire: bytes, mode: int) -> list[tuple[int, int, int, bytes]]:
    peer.codes.clear()
    peer.asked.clear()
    peer.transport, peer.connection = peer.connect()
    for piece in pieces(wire, mode):
        if peer.closed() or peer.ended():
            break
        peer.send(piece)
        if peer.paused():
            await peer.turn()
    await peer.turn()
    peer.answer()
    await peer.turn()
    require(not {"internal", "model_failed", "other"} & set(peer.codes), f"counted {peer.codes}")
    frames = peer.frames()
    peer.connection.connection_lost(None)
    await peer.turn()
    ends: dict[int, int] = {}
    decoder = hpack.Decoder()
    for kind, flags, stream, payload in frames:
        if kind == h2_frames.HEADERS:
            decoder.decode(payload)
        if kind in (h2_frames.HEADERS, h2_frames.DATA):
            require(stream not in ends, f"stream {stream} goes on behind its end")
            if flags & h2_frames.END_STREAM:
                ends[stream] = kind
    return frames


def header_blocks() -> Check:
    """Header blocks of one connection, each behind its size of a byte, beside the library's own decoder."""

    def check(data: bytes) -> None:
        ours, theirs = HpackDecoder(LIMITS.max_header_bytes), hpack.Decoder(LIMITS.max_header_bytes)
        theirs.max_allowed_table_size = TABLE_BYTES
        at = 0
        while at < len(data):
            block = data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
            expected = _library(theirs, block)
            try:
                found = [(bytes(name), bytes(value)) for name, value in ours.decode(block)]
            except hpack.HPACKError:
                if expected is not None:
                    updates = sum(1 for byte in block[: _MOST_TABLE_UPDATES + 2] if byte & 0xE0 == 0x20)
                    require(updates or _has_long_integer(block), f"{block!r} was refused, and is {expected}")
                return
            require(found == expected, f"{block!r} is read as {found}, not {expected}")

    return check


def _library(decoder: Any, block: bytes) -> list[tuple[bytes, bytes]] | None:
    try:
        return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    except hpack.HPACKError:
        return None
    except (IndexError, UnicodeDecodeError):
        return None


def _has_long_integer(block: bytes) -> bool:
    """Whether it may have an integer that is written with more bytes than it needs, which the library reads."""
    return b"\x80\x80\x80\x80" in block
