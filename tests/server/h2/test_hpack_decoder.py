"""Header blocks as the library hpack reads them, but for what it takes too much time for."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.server.h2.hpack_decoder import HpackDecoder

TEXTS = st.binary(max_size=20)
FIELDS = st.lists(st.tuples(st.sampled_from([b"a", b"b", b":path", b"accept"]), TEXTS, st.booleans()), max_size=8)


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([0, 40, 4096])), max_size=6))
def test_what_an_encoder_writes_comes_back(blocks: list[tuple[list[tuple[bytes, bytes, bool]], bool, int]]) -> None:
    encoder, decoder = hpack.Encoder(), HpackDecoder(65_536)
    for pairs, huffman, size in blocks:
        encoder.header_table_size = size
        block = encoder.encode(pairs, huffman=huffman)
        assert decoder.decode(block) == [(name, value) for name, value, _ in pairs]


@given(st.lists(st.one_of(st.binary(max_size=6), st.sampled_from([b"\x82", b"\xbe", b"\x40\x01a\x01b", b"\x3f\x09"]))))
def test_any_bytes_mean_what_they_mean_to_the_library(pieces: list[bytes]) -> None:
    block = b"".join(pieces)
    library, decoder = hpack.Decoder(), HpackDecoder(65_536)
    for _ in range(2):
        try:
            found = decoder.decode(block)
        except hpack.HPACKError:
            return  # which is more strict about sizes of the table, and of integers
        assert found == [tuple(pair) for pair in library.decode(block, raw=True)]


@pytest.mark.parametrize("piece", [b"\0\0\0", b"\x40\x01a\x01b", b"\x82", b"\x0f\x01\x01b"])
def test_the_work_of_a_block_grows_as_its_bytes_do(piece: bytes) -> None:
    class Counted(bytes):
        """Counts the bytes that are copied."""

        copied = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204
            found = super().__getitem__(key)
            if isinstance(found, bytes):
                Counted.copied += len(found)
            return found

    block = Counted(piece * 1000)
    assert len(HpackDecoder(1_000_000).decode(block)) == 1000
    assert Counted.copied <= len(block)
