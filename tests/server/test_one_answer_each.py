"""One request in is one answer out, in order, however it is framed, whatever it offers, and wherever it is cut."""

import json
import re
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.budgets import examples
from tests.server.memory import Peer

pytestmark = pytest.mark.usefixtures("loop")

HEAD_LINES = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(?:[^\r]+\r\n)*?\r\n")
OFFERS: tuple[tuple[bytes, ...], ...] = (
    (),
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAA"),
    (b"Upgrade: h2c", b"Connection: Upgrade"),
    (b"Connection: keep-alive, upgrade", b"UPGRADE: websocket", b"Sec-WebSocket-Key: eA=="),
    (b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: TLS/1.2"),
    (b"Upgrade: anything",),
    (b"Connection: Upgrade",),
)
# Bodies that would be requests, or parts of them, if they were read as such.
BODIES = st.sampled_from(
    [
        b"",
        b"GET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: smuggled\r\nContent-Length: 100\r\n\r\n",
        b"0\r\n\r\nGET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n",
        b"x" * 6_000,
        b"GET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n" * 200,
    ]
) | st.binary(max_size=60)
#: What cannot be read as a request, and how it is answered.
UNREADABLE: dict[bytes, int] = {
    b"GET /echo HTTP/1.1\r\n\r\n": 400,
    b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n": 400,
    b"GET /echo HTTP/1.1\r\nHost: a b/c@d\r\n\r\n": 400,
    b"CONNECT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc": 400,
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n": 400,
    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: gzip, chunked\r\n"
    b"\r\n0\r\n\r\n": 501,
    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 99999999\r\n\r\n": 413,
    b"\x00\x01\x02\r\n\r\n": 400,
    b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n": 400,
}


class Sent(msgspec.Struct, frozen=True):
    """One request on the wire, and what is asked by it."""

    method: str
    body: bytes
    wire: bytes


def chunked(body: bytes, sizes: list[int], extension: bytes, trailer: bytes) -> bytes:
    wire, start = b"", 0
    for size in sizes:
        if part := body[start : start + size]:
            wire += b"%x%b\r\n%b\r\n" % (len(part), extension, part)
        start += size
    if rest := body[start:]:
        wire += b"%X\r\n%b\r\n" % (len(rest), rest)
    return wire + b"0\r\n" + trailer + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    body = draw(BODIES)
    lines = [b"Host: here", *draw(st.sampled_from(OFFERS))]
    framing = draw(st.sampled_from(["length", "zeros", "chunked"] if body else ["length", "chunked", "none"]))
    if framing == "chunked":
        lines.append(draw(st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked ", b"TE: x"])))
    if framing == "chunked" and not lines[-1].startswith(b"TE"):
        sizes = draw(st.lists(st.integers(1, 20), max_size=5))
        trailer = draw(st.sampled_from([b"", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Host: other\r\n"]))
        content = chunked(body, sizes, draw(st.sampled_from([b"", b";a=b"])), trailer)
    else:
        content = body
        if framing != "none" or body:
            lines.append(b"Content-Length: %b%d" % (b"000" if framing == "zeros" else b"", len(body)))
    if draw(st.booleans()):
        lines.append(b"Expect: 100-continue")
    head = b"\r\n".join([b"%b /echo HTTP/1.1" % method.encode(), *draw(st.permutations(lines)), b"", b""])
    return Sent(method, body, head + content)


def answers(written: bytes, asked: list[Sent]) -> list[tuple[int, bytes]]:
    """Status and body of each final response; those to HEAD have no body."""
    found: list[tuple[int, bytes]] = []
    while written:
        head = HEAD_LINES.match(written)
        assert head is not None, written[:100]
        written = written[head.end() :]
        if head[1] == b"100":
            continue
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head[0])
        assert length is not None
        no_body = len(found) < len(asked) and asked[len(found)].method == "HEAD"
        size = 0 if no_body else int(length[1])
        assert len(written) >= size
        found.append((int(head[1]), written[:size]))
        written = written[size:]
    return found


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(wire) + 1) for place in places}), len(wire)]
    return [wire[start:end] for start, end in pairwise(bounds) if start < end]


@given(
    st.lists(requests(), max_size=6),
    st.sampled_from([None, *UNREADABLE]),
    st.lists(st.integers(0, 30_000), max_size=8) | st.just(list(range(600))),
)
@hypothesis_settings(max_examples=examples(150))
def test_one_request_is_one_answer_in_order(asked: list[Sent], unreadable: bytes | None, places: list[int]) -> None:
    peer = Peer()
    wire = b"".join(each.wire for each in asked) + (unreadable or b"")
    peer.send(*cut(wire, places))
    found = answers(peer.transport.written, asked)
    assert len(found) == len(asked) + (unreadable is not None)
    for (status, body), each in zip(found, asked, strict=False):
        assert status == (200 if each.method in ("GET", "POST", "HEAD") else 405)
        if each.method in ("GET", "POST"):
            method, _, _, headers, received = json.loads(body)
            assert (method, received.encode("latin-1")) == (each.method, each.body)
            assert headers["host"] == "here"
    assert b"smuggled" not in b"".join(body for (_, body), each in zip(found, asked, strict=False) if not each.body)
    assert peer.transport.ended is (unreadable is not None)
    if unreadable is not None:
        assert found[-1][0] == UNREADABLE[unreadable]
