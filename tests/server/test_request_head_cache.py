"""A head that was seen before is not parsed again, and nobody can tell."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.protocols.http.http_messages import HttpRequest, RequestContext
from septet.server import request_head_cache
from septet.server.request_head_cache import RequestHeadCache
from tests.server.memory import HOST, Peer

pytestmark = pytest.mark.usefixtures("loop")
METHODS = st.sampled_from([b"GET", b"POST", b"HEAD"])
HEADERS = st.lists(
    st.sampled_from(
        [
            *(b"Accept: */*", b"X-Request-Id: mine", b"Content-Type: text/csv", b"Connection: close"),
            *(b"Connection: keep-alive", b"Expect: 100-continue", b"Upgrade: h2c", b"Transfer-Encoding: chunked"),
        ]
    ),
    unique=True,
    max_size=3,
)
BODIES = st.sampled_from([b"", b"a", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"{}"])


def wire(method: bytes, lines: Sequence[bytes], body: bytes) -> bytes:
    head = b"%b /echo HTTP/1.1\r\n%b" % (method, HOST)
    if b"Transfer-Encoding: chunked" in lines:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif body:
        head += b"Content-Length: %d\r\n" % len(body)
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


@given(st.lists(st.tuples(METHODS, HEADERS, BODIES), min_size=1, max_size=4), st.data())
def test_known_heads_change_no_byte_of_any_answer(
    drawn: list[tuple[bytes, list[bytes], bytes]], data: st.DataObject
) -> None:
    requests = [wire(*each) for each in drawn] * 2
    stream = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    def written(chunks: list[bytes], *, known: bool) -> bytes:
        peer = Peer()
        if not known:
            peer.state.heads.find = lambda _: None  # type: ignore[method-assign, assignment]
        peer.send(*chunks)
        return peer.transport.written

    for chunks in (requests, pieces):
        assert written(chunks, known=True) == written(chunks, known=False)


def request(**headers: bytes) -> HttpRequest:
    return HttpRequest(
        "POST", "/echo", b"", {name.replace("_", "-").encode(): value for name, value in headers.items()}, b""
    )


HEAD = b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n"


def test_a_whole_request_with_a_known_head_is_found() -> None:
    known = RequestHeadCache()
    assert known.find(HEAD + b"ab") is None
    known.keep(HEAD + b"ab", request(content_length=b"2"))
    head = known.find(HEAD + b"cd")
    assert head is not None
    found = head.http
    assert (found.method, found.path, found.headers) == ("POST", "/echo", {b"content-length": b"2"})
    assert (HEAD + b"cd")[len(head.lines) :] == b"cd"


def test_what_a_known_head_says_is_read_once() -> None:
    known = RequestHeadCache()
    said = {"x_request_id": b"mine", "traceparent": b"00-1", "content_type": b"Text/CSV; header=present"}
    known.keep(HEAD + b"ab", request(content_length=b"2", **said))
    head = known.find(HEAD + b"cd")
    assert head is not None
    assert head.http.known_context == RequestContext(id="mine", trace="00-1", media_type=b"text/csv")


@pytest.mark.parametrize("chunk", [HEAD + b"a", HEAD + b"abc", HEAD, HEAD[:-1], b"", b"\r\n" + HEAD + b"ab"])
def test_any_other_chunk_is_parsed(chunk: bytes) -> None:
    known = RequestHeadCache()
    known.keep(HEAD + b"ab", request(content_length=b"2"))
    assert known.find(chunk) is None


@pytest.mark.parametrize("chunk", [b"\r\n\r\n" + HEAD + b"ab", HEAD + b"ab" + HEAD, b"ab", b"\r\n\r\n"])
def test_a_chunk_that_is_not_one_request_is_not_kept(chunk: bytes) -> None:
    known = RequestHeadCache()
    known.keep(chunk, request(content_length=b"2"))
    assert known.find(chunk) is None


def test_heads_that_are_long_or_decide_more_than_a_length_are_not_kept() -> None:
    known = RequestHeadCache()
    for name in ("transfer_encoding", "expect", "upgrade"):
        known.keep(HEAD + b"ab", request(content_length=b"2", **{name: b"x"}))
        assert known.find(HEAD + b"ab") is None
    known.keep(HEAD + b"ab", request(content_length=b"2", x_request_id=b"no id"))
    assert known.find(HEAD + b"ab") is None
    long = HEAD.replace(b"here", b"x" * request_head_cache.MAX_HEAD_BYTES)
    known.keep(long + b"ab", request(content_length=b"2"))
    assert known.find(long + b"ab") is None


def test_there_is_an_end_to_what_is_kept() -> None:
    known = RequestHeadCache()
    chunks = [HEAD.replace(b"here", b"%d" % at) + b"ab" for at in range(request_head_cache.MAX_CACHED_HEADS + 1)]
    for chunk in chunks:
        known.keep(chunk, request(content_length=b"2"))
    assert known.find(chunks[0]) is None
    assert known.find(chunks[-1]) is not None
