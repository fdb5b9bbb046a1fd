"""Raw tensors: there and back to the last bit, and every damage refused."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.errors import Invalid, Malformed
from septet.model.signature import DTYPES
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of, from_raw, raw_bytes, view
from septet.types import Array
from tests.budgets import examples

NUMBERS = [name for name, dtype in DTYPES.items() if dtype.kind not in "OM"]


def text(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def test_every_dtype_has_a_datatype_of_its_own() -> None:
    assert set(DATATYPES) == set(DTYPES)
    moments = [name for name in DTYPES if name.startswith("datetime64")]
    known = [name for name in DTYPES if name not in (*moments, "bytes")]
    assert [dtype_of(DATATYPES[name], name) for name in known] == [*NUMBERS, "string"]
    assert DATATYPES["bytes"] == "BYTES"
    assert {DATATYPES[name] for name in moments} == {"BYTES"}


def test_a_datatype_that_no_array_has_is_refused_with_the_reason() -> None:
    with pytest.raises(Invalid, match="BF16 of 'x' is not supported: the engine takes no arrays"):
        dtype_of("BF16", "x")
    with pytest.raises(Invalid, match=r"unknown datatype 'FP8'\. Known are BOOL"):
        dtype_of("FP8", "x")


@given(
    st.sampled_from(NUMBERS).flatmap(
        lambda name: st.tuples(st.just(name), hnp.arrays(DTYPES[name], hnp.array_shapes(min_dims=0, min_side=0)))
    ),
    st.integers(0, 15),
)
@settings(max_examples=examples(100))
def test_numbers_come_back_bit_for_bit_wherever_they_lie(made: tuple[str, Array], offset: int) -> None:
    name, array = made
    raw = bytes(raw_bytes(array, name))
    body = b"x" * offset + raw
    back = from_raw(memoryview(body)[offset:], name, array.shape, "x")
    assert back.shape == array.shape
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes() == raw


@given(hnp.arrays(object, hnp.array_shapes(min_dims=0, min_side=0, max_side=4), elements=st.text(max_size=5)))
@settings(max_examples=examples(50))
def test_texts_come_back(array: Array) -> None:
    back = from_raw(raw_bytes(array, "string"), "string", array.shape, "x")
    assert back.shape == array.shape
    assert back.ravel().tolist() == array.ravel().tolist()


def test_texts_have_their_lengths_before_them_and_a_missing_one_is_empty() -> None:
    assert raw_bytes(np.array(["é", None, "ab"], object), "string") == text("é".encode(), b"", b"ab")


def test_numbers_are_written_in_row_major_order_whatever_their_layout() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3).T
    assert bytes(raw_bytes(array, "int16")) == struct.pack("<6h", 0, 3, 1, 4, 2, 5)


def test_a_large_array_is_neither_copied_on_its_way_out_nor_where_it_is_aligned_on_its_way_in() -> None:
    array = np.arange(100_000, dtype=np.float32)
    raw = raw_bytes(array, "float32")
    assert isinstance(raw, memoryview)
    assert np.shares_memory(np.frombuffer(raw, np.uint8), array)
    body = np.frombuffer(array.tobytes(), np.uint8)
    aligned, odd = memoryview(body)[16:], memoryview(body)[4:]  # type: ignore[arg-type]
    assert np.shares_memory(from_raw(aligned, "float32", (99_996,), "x"), body)
    # Elsewhere than on 16 bytes an engine adds up in another order, and answers with other last bits.
    assert not np.shares_memory(from_raw(odd, "float32", (99_999,), "x"), body)


@given(st.sampled_from(NUMBERS), st.integers(1, 300), st.integers(0, 40))
def test_a_view_begins_where_an_engine_wants_it_and_has_the_same_numbers(dtype: str, rows: int, start: int) -> None:
    data = bytes(start) + np.arange(2 * rows).astype(DTYPES[dtype]).tobytes()
    array = view(data, DTYPES[dtype], (rows, 2), start)
    assert array.ctypes.data % 16 == 0
    np.testing.assert_array_equal(array, from_raw(data[start:], dtype, (rows, 2), "x"))


@pytest.mark.parametrize(
    ("raw", "dtype", "shape", "message"),
    [
        (b"\0" * 15, "float32", (2, 2), r"'x' of shape \[2, 2\] and datatype FP32 needs 16 bytes, received 15"),
        (b"\0" * 17, "float32", (2, 2), "needs 16 bytes, received 17"),
        (b"", "int8", (1,), "needs 1 bytes, received 0"),
        (b"\0", "int8", (-1,), "sizes cannot be negative"),
        (b"", "int8", (0, 1 << 62, 1 << 62), "which no array can have"),
        (b"", "int8", (0,) * 100, "which no array can have"),
        (b"", "float64", (1 << 62,), "needs 36893488147419103232 bytes"),
    ],
)
def test_bytes_that_do_not_fit_their_shape_are_refused(
    raw: bytes, dtype: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        from_raw(raw, dtype, shape, "x")


@pytest.mark.parametrize(
    ("raw", "shape", "message"),
    [
        (text(b"ab")[:-1], (1,), "2 bytes in element 0, as its length says, received 1 bytes up to the end"),
        (text(b"abcd")[:2], (1,), "at least 4 bytes for 1 elements, received 2 bytes"),
        (text(b"abcd") + b"\0\0", (2,), "expected 2 elements, received the end within element 1"),
        (text(b"a", b"b"), (1,), "5 bytes for 1 elements, received 10 bytes"),
        (text(b"a", b"\xff"), (2,), "expected UTF-8, received other bytes in element 1"),
        (b"\xff\xff\xff\xff", (1,), "4294967295 bytes in element 0"),
        (b"", (1 << 40,), "at least 4398046511104 bytes"),
    ],
)
def test_damaged_texts_are_refused(raw: bytes, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(Malformed, match=message):
        from_raw(raw, "string", shape, "x")


def test_a_boolean_is_0_or_1() -> None:
    assert from_raw(b"\0\1", "bool", (2,), "x").tolist() == [False, True]
    with pytest.raises(Malformed, match="A BOOL of 'x' has the byte 2; it must be 0 or 1"):
        from_raw(b"\0\2\1", "bool", (3,), "x")
