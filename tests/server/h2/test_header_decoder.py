"""The heads of calls: what is read of them, what is refused, and that their memory changes nothing."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import HeadersTooLarge
from septet.protocols.http.http_messages import context_of
from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError, H2StreamError
from septet.server.h2.header_decoder import MAX_CACHED, CallHead, HeaderDecoder
from septet.settings import Limits
from tests.server.h2.peer import ECHO, block, fields

LIMITS = Limits(max_header_bytes=2048, max_headers=12)


def test_a_head_says_what_is_asked() -> None:
    pairs = fields(x_request_id="mine", grpc_timeout="5S", grpc_encoding="GZIP", more="passed over")
    read = {b"x-request-id": b"mine", b"grpc-timeout": b"5S", b"host": b"here"}
    assert HeaderDecoder(LIMITS).read(block(pairs)) == CallHead(ECHO, read, b"gzip")


IDS = st.text("abcdef0123456789", min_size=1, max_size=20)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), IDS, st.booleans()), max_size=40),
    st.sampled_from([0, 64, 4096]),
)
def test_what_is_known_of_heads_changes_nothing(made: list[tuple[str, str, bool]], size: int) -> None:
    encoder, heads = hpack.Encoder(), HeaderDecoder(LIMITS)
    for path, request_id, indexed in made:
        encoder.header_table_size = size if request_id < "8" else 4096
        pairs = [(name, value, False) for name, value in fields(path)]
        sent = encoder.encode([*pairs, ("x-request-id", request_id, not indexed)])
        head = heads.known.get(sent) or heads.read(sent)
        assert (head.path, head.headers) == (path, {b"x-request-id": request_id.encode(), b"host": b"here"})
        assert head.known_context in (None, context_of(head.headers))


def test_more_heads_than_are_kept_are_read_all_the_same() -> None:
    heads = HeaderDecoder(LIMITS)
    for number in range(2 * MAX_CACHED):
        assert heads.read(block(fields(f"/{number}"))).path == f"/{number}"


@pytest.mark.parametrize(
    "kind", ["application/grpc", "application/grpc+proto", "Application/gRPC; charset=x", "application/grpc+proto;a=b"]
)
def test_these_types_are_grpc(kind: str) -> None:
    pairs = [pair for pair in fields() if pair[0] != "content-type"]
    assert HeaderDecoder(LIMITS).read(block([*pairs, ("content-type", kind)])).status == 0


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "application/grpc+json", "text/grpc", ""])
def test_other_types_are_not(kind: str) -> None:
    pairs = [pair for pair in fields() if pair[0] != "content-type"]
    assert HeaderDecoder(LIMITS).read(block([*pairs, ("content-type", kind)])).status == 415
    assert HeaderDecoder(LIMITS).read(block(pairs)).status == 415


def test_a_call_need_not_say_that_it_reads_trailers() -> None:
    assert HeaderDecoder(LIMITS).read(block([pair for pair in fields() if pair[0] != "te"])).status == 0


def test_another_method_than_post_is_no_call() -> None:
    assert HeaderDecoder(LIMITS).read(block([(":method", "GET"), *fields()[1:]])).status == 405


@pytest.mark.parametrize(
    "pairs",
    [
        [*fields(), (":path", "/again")],
        [(":path", "/twice"), *fields()],
        [(":method", "POST"), ("te", "trailers"), (":scheme", "http"), (":path", "/")],
        [(":status", "200"), *fields()],
        [(":unknown", "x"), *fields()],
        [*fields()[1:]],
        [fields()[0], *fields()[2:]],
        [*fields()[:2], *fields()[3:]],
        [*fields()[:2], (":path", ""), *fields()[3:]],
        [*fields(), ("Upper", "x")],
        [*fields(), ("", "x")],
        [*fields(), ("with space", "x")],
        [*fields(), ("connection", "close")],
        [*fields(), ("transfer-encoding", "chunked")],
        [*fields(), ("te", "gzip")],
        [*fields(), ("x", "a\nb")],
        [*fields(), ("x", "a\0b")],
        [*fields(), ("x", " a")],
        [*fields(), ("x", "a\t")],
        fields(host="there"),
        fields(host="here:8001"),
        fields(host=""),
        [*fields(host="there"), ("host", "here")],
        [*fields()[:3], *fields()[4:], ("host", "a"), ("host", "b")],
        [],
    ],
)
def test_what_http2_does_not_allow_ends_the_stream(pairs: list[tuple[str, str]]) -> None:
    heads = HeaderDecoder(LIMITS)
    for _ in range(2):  # and is not kept
        with pytest.raises(H2StreamError) as caught:
            heads.read(block(pairs))
        assert caught.value.code is ErrorCode.PROTOCOL_ERROR
    assert heads.read(block(fields())).path == ECHO


@pytest.mark.parametrize(
    ("authority", "host"),
    [("a:8001", "a:8001"), ("Models.Example", "models.example"), ("a", "a:80"), ("a:80", "a"), ("[::1]:80", "[::1]")],
)
def test_a_host_that_is_the_authority_is_fine(authority: str, host: str) -> None:
    pairs = [*fields()[:3], (":authority", authority), *fields()[4:], ("host", host), ("host", host)]
    assert HeaderDecoder(LIMITS).read(block(pairs)).headers[b"host"] == authority.encode()


@pytest.mark.parametrize("more", [[("x", "y" * 3000)], [(f"x{number}", "") for number in range(12)]])
def test_a_head_over_the_limits_is_refused_and_the_next_one_read(more: list[tuple[str, str]]) -> None:
    heads, encoder = HeaderDecoder(LIMITS), hpack.Encoder()
    with pytest.raises(HeadersTooLarge, match="over the limit of 2048 bytes or 12 headers"):
        heads.read(encoder.encode([*fields(), *more]))
    assert heads.read(encoder.encode(fields())).path == ECHO


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff",  # an index that goes on
        b"\xc0",  # an index into an empty table
        b"\x80",  # the index 0
        b"\x00\x05ab",  # a name that is cut
        b"\x00\x01a\x05b",  # a value that is cut
        b"\x3f\xff\xff\xff\x7f",  # a table that is too large
        b"\x82\x20",  # a new size behind a field
        b"\x00\x81\x00\x00",  # no Huffman code
        b"\x00\x01a\x7f" + b"\xff" * 20,  # a length without end
        b"\x20" * 3,  # more changes of the table's size than two
    ],
)
def test_a_block_that_cannot_be_decoded_ends_the_connection(sent: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        HeaderDecoder(LIMITS).read(sent)
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


@pytest.mark.parametrize(
    "sent",
    [
        block([("x", "y" * 70_000)]),
        b"\x82" * 3000,
        b"\0\0\0" * 3000,
        hpack.Encoder().encode([("x", "y" * 3900)]) + b"\xbe" * 20,
    ],
)
def test_a_block_of_far_too_many_bytes_ends_the_connection(sent: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        HeaderDecoder(LIMITS).read(sent)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "name", [":path", ":status", ":unknown", "Upper", "", "connection", "upgrade", "with space", "te"]
)
def test_what_http2_does_not_allow_in_trailers_ends_the_stream(name: str) -> None:
    with pytest.raises(H2StreamError) as caught:
        HeaderDecoder(LIMITS).read_trailers(block([("fine", "x"), (name, "x")]))
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_trailers_over_the_limits_are_refused() -> None:
    with pytest.raises(HeadersTooLarge):
        HeaderDecoder(LIMITS).read_trailers(block([("x", "y" * 3000)]))


def test_two_lengths_that_differ_end_the_stream() -> None:
    same = [("content-length", "7"), ("content-length", "7")]
    assert HeaderDecoder(LIMITS).read(block([*fields(), *same])).content_length == 7
    with pytest.raises(H2StreamError):
        HeaderDecoder(LIMITS).read(block([*fields(), *same, ("content-length", "8")]))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_head_or_a_fault(sent: bytes) -> None:
    heads = HeaderDecoder(LIMITS)
    for _ in range(2):
        try:
            assert heads.read(sent).path
        except (H2ConnectionError, H2StreamError, HeadersTooLarge):
            continue
