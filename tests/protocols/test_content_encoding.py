"""Compressed bodies: read whole within their limit, and written only for who asks for nothing else."""

import asyncio
import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Malformed, TooLarge, UnsupportedMediaType
from septet.lengthy_work import BYTES_ON_LOOP, LengthyWork
from septet.protocols.http.content_encoding import compressed, expanded
from septet.protocols.http.http_messages import HttpReply, HttpRequest

LONG = b'{"data":[[1,2,3,4]]}' * 100
MOST = 10_000


def bare(body: bytes) -> bytes:
    """Deflate without the zlib header, as some clients send it."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


def expand(body: bytes, coding: bytes, most: int = MOST) -> HttpRequest:
    return expanded(HttpRequest("POST", "/predict", b"", {b"content-encoding": coding, b"x": b"y"}, body), most)


@given(st.binary(max_size=MOST))
def test_what_was_compressed_comes_back(body: bytes) -> None:
    for coding, sent in ((b"gzip", gzip.compress(body)), (b"deflate", zlib.compress(body)), (b"Deflate", bare(body))):
        assert expand(sent, coding).body == body


def test_the_header_goes_with_the_coding_and_the_others_stay() -> None:
    assert expand(gzip.compress(LONG), b" x-gzip ").headers == {b"x": b"y"}
    assert expand(LONG, b"identity").body == LONG


@pytest.mark.parametrize("coding", [b"br", b"gzip, br", b"zstd", b"\xff", b"gzip gzip", b"gzip," * 4])
def test_other_codings_are_refused(coding: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="send gzip, deflate, or the body as it is"):
        expand(LONG, coding)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
@pytest.mark.parametrize(
    "damage",
    [b"", b"not compressed", gzip.compress(LONG)[:-9], zlib.compress(LONG)[:-1]],
    ids=["empty", "plain", "gzip cut", "zlib cut"],  # what gzip writes has the time in it
)
def test_damaged_bytes_are_refused(coding: bytes, damage: bytes) -> None:
    with pytest.raises(Malformed, match="The body cannot be expanded"):
        expand(damage, coding)


def test_bytes_behind_the_end_are_refused() -> None:
    for sent, coding in (
        (gzip.compress(LONG) + b"x", b"gzip"),
        (gzip.compress(LONG) + b"\0\0\0", b"gzip"),
        (zlib.compress(LONG) + b"x", b"deflate"),
        (zlib.compress(LONG) * 2, b"deflate"),
    ):
        with pytest.raises(Malformed, match="bytes follow its end"):
            expand(sent, coding)


@given(st.lists(st.binary(max_size=3_000), min_size=1, max_size=5))
def test_all_members_of_a_gzip_file_are_read(parts: list[bytes]) -> None:
    assert expand(b"".join(map(gzip.compress, parts)), b"gzip", 20_000).body == b"".join(parts)


@pytest.mark.parametrize("size", [1, 60_000, 65_536, 200_000])
def test_members_may_end_anywhere(size: int) -> None:
    noise = random.Random(1).randbytes(size)
    sent = gzip.compress(noise) + gzip.compress(LONG) + gzip.compress(noise)
    assert expand(sent, b"gzip", 1_000_000).body == noise + LONG + noise


def test_the_members_of_a_gzip_file_share_the_limit() -> None:
    with pytest.raises(TooLarge):
        expand(gzip.compress(b"x" * 6_000) * 2, b"gzip")


def test_a_gzip_file_whose_last_member_is_cut_is_refused() -> None:
    with pytest.raises(Malformed, match="ends too early"):
        expand(gzip.compress(LONG) + gzip.compress(LONG)[:-1], b"gzip")


def test_a_gzip_file_of_nothing_but_empty_members_is_refused() -> None:
    empty = gzip.compress(b"")
    assert expand(empty * 900, b"gzip").body == b""
    with pytest.raises(Malformed, match="too many gzip members"):
        expand(empty * 100_000, b"gzip")


def test_many_members_that_expand_to_nothing_are_not_read_on_the_event_loop() -> None:
    # With a comment of 1,000 bytes each (RFC 1952, 2.3).
    empty = gzip.compress(b"")
    member = empty[:3] + b"\x10" + empty[4:10] + b"a" * 1_000 + b"\0" + empty[10:]
    sent = member * (BYTES_ON_LOOP // len(member) + 1)
    assert expand(sent, b"gzip").body == b""

    async def on_loop() -> None:
        with pytest.raises(LengthyWork):
            expand(sent, b"gzip")

    asyncio.run(on_loop())


def test_codings_are_undone_from_the_last_to_the_first() -> None:
    assert expand(gzip.compress(zlib.compress(LONG)), b"deflate, gzip").body == LONG
    assert expand(gzip.compress(LONG), b"identity, gzip,").body == LONG
    with pytest.raises(Malformed):
        expand(gzip.compress(zlib.compress(LONG)), b"gzip, deflate")


def test_the_limit_holds_for_what_comes_out() -> None:
    assert len(expand(gzip.compress(b"0" * MOST), b"gzip").body) == MOST
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 60_000
    for sent, coding in (
        (bomb, b"gzip"),
        (gzip.compress(b"0" * (MOST + 1)), b"gzip"),
        (bare(b"0" * 99_999), b"deflate"),
    ):
        with pytest.raises(TooLarge, match="over the limit of 10000 bytes when expanded"):
            expand(sent, coding)


def test_an_answer_is_compressed_for_a_caller_that_names_one_coding() -> None:
    reply = HttpReply(200, LONG, "id", headers=((b"a", b"b"),))
    zipped = compressed(reply, b"gzip")
    assert gzip.decompress(zipped.body) == LONG
    assert zipped.headers == ((b"a", b"b"), (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
    assert zlib.decompress(compressed(reply, b" Deflate").body) == LONG


@pytest.mark.parametrize("accepted", [b"gzip, deflate, br", b"*", b"identity", b"br", b"gzip;q=0.5", b""])
def test_an_answer_stays_as_it_is_for_all_others(accepted: bytes) -> None:
    reply = HttpReply(200, LONG, "id")
    assert compressed(reply, accepted) is reply


def test_a_short_answer_stays_as_it_is() -> None:
    reply = HttpReply(200, b'{"ready":true}', "id")
    assert compressed(reply, b"gzip") is reply
