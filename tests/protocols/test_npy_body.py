"""`.npy` bodies: any array that the model can take is read exactly; headers that lie are refused first."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy

from septet.errors import Invalid, Malformed, UnsupportedMediaType
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.model.validation import problems
from septet.protocols.codecs.npy_body import NpyBody
from septet.types import Array
from tests.protocols import bodies


def table(dtype: str, width: int = 2) -> Signature:
    columns = tuple(Column(f"c{at}", dtype) for at in range(width))
    return Signature(Kind.TENSORS, (Tensor("x", dtype, (None, width), columns),), bodies.OUTPUTS)


def saved(array: Array, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    npy.write_array(stream, array, version, allow_pickle=True)
    return stream.getvalue()


def crafted(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


def header(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


def decode(signature: Signature, body: bytes, max_rows: int = 10) -> Any:
    return NpyBody(signature, max_rows=max_rows)(body)


@given(
    st.sampled_from([name for name, dtype in DTYPES.items() if dtype.kind != "O"]),
    st.sampled_from("CF"),
    st.sampled_from("<>"),
    st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    st.data(),
)
def test_numbers_are_read_exactly_in_every_order_and_version(
    dtype: str, order: Any, endian: Any, version: tuple[int, int], data: st.DataObject
) -> None:
    array = data.draw(hnp.arrays(DTYPES[dtype], (3, 2), elements=bodies.elements(dtype)))
    written = np.array(array, array.dtype.newbyteorder(endian), order=order)
    decoded = decode(table(dtype), saved(written, version))
    bodies.same({"x": array}, decoded)
    assert decoded.tensors["x"].flags.aligned
    assert decoded.rows == 3


def test_texts_are_read_as_texts() -> None:
    decoded = decode(table("string"), saved(np.array([["a", "é😀"], ["", "x"]])))
    assert decoded.tensors["x"].tolist() == [["a", "é😀"], ["", "x"]]


@pytest.mark.parametrize(
    ("given", "taken"), [("int64", "float32"), ("float64", "float16"), ("bool", "int8"), ("int8", "int64")]
)
def test_a_dtype_that_the_models_can_hold_is_cast(given: str, taken: str) -> None:
    decoded = decode(table(taken), saved(np.array([[0, 1]], given)))
    bodies.same({"x": np.array([[0, 1]], taken)}, decoded)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        *(("float64", "int64"), ("int64", "int32"), ("int8", "uint8"), ("S3", "string")),
        *(("complex64", "float32"), ("M8[s]", "int64"), ("U3", "float32"), ("float32", "string")),
    ],
)
def test_a_dtype_that_the_models_cannot_hold_is_refused(given: str, taken: str) -> None:
    with pytest.raises(Invalid, match="dtype"):
        decode(table(taken), saved(np.zeros((1, 2), given)))


@pytest.mark.parametrize(("taken", "value"), [("float32", 1e39), ("float16", -65520.0)])
def test_what_overflows_the_models_dtype_is_refused_with_its_place(taken: str, value: float) -> None:
    signature = table(taken)
    decoded = decode(signature, saved(np.array([[1, 2], [3, value]])))
    (problem,) = problems(signature, decoded.tensors)
    assert (problem.row, problem.column) == (1, "c1")


def test_one_column_may_be_one_dimension() -> None:
    assert decode(table("float32", 1), saved(np.zeros(3, np.float32))).tensors["x"].shape == (3, 1)


def test_columns_of_several_inputs_are_cut_from_one_array() -> None:
    inputs = (
        Tensor("p", "int64", (None,), (Column("a", "int64"),)),
        Tensor("q", "int64", (None, 2), (Column("b", "int64"), Column("c", "int64"))),
    )
    decoded = decode(Signature(Kind.TENSORS, inputs, bodies.OUTPUTS), saved(np.array([[1, 2, 3], [4, 5, 6]])))
    bodies.same({"p": np.array([1, 4]), "q": np.array([[2, 3], [5, 6]])}, decoded)


def test_a_unit_of_no_dimension_is_read() -> None:
    signature = Signature(Kind.TENSORS, (Tensor("x", "float32", ()),), bodies.OUTPUTS, rows=False)
    assert decode(signature, saved(np.array(1.5, np.float32))).tensors["x"].shape == ()


def test_inputs_that_cannot_be_one_array_are_sent_in_another_format() -> None:
    several = (Tensor("p", "int64", (None,)), Tensor("q", "float32", (None,)))
    bare = (Tensor("p", "int64", (None,)), Tensor("q", "int64", (None,)))
    for inputs in (several, bare):
        with pytest.raises(UnsupportedMediaType, match="JSON"):
            decode(Signature(Kind.TENSORS, inputs, bodies.OUTPUTS), saved(np.zeros(2)))


@pytest.mark.parametrize("shape", [(2,), (1, 3), (1, 1, 2), (), (0, 2), (11, 2)])
def test_another_shape_and_too_few_or_many_rows_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Invalid, match=r"shape|rows"):
        decode(table("float32"), saved(np.zeros(shape, np.float32)))


@pytest.mark.parametrize(
    "array", [np.array([[None, 1]], object), np.zeros((1, 2), [("a", "f4")]), np.zeros((1, 2), "V4")]
)
def test_objects_and_fields_are_refused_and_nothing_is_unpickled(array: Array) -> None:
    with pytest.raises(Invalid, match="dtype"):
        decode(table("float32"), saved(array))


FOUR = b"\0" * 4
LIES = [
    crafted(header("'<f4'", "(10**15, 2)")),
    crafted(header("'<f4'", "(1000000000000, 2)")),
    crafted(header("'<f4'", "(-1, -2)"), FOUR * 2),
    crafted(header("'<f4'", "(0, 1000000000000000000000000000000)")),
    crafted(header("'<f4'", "(0, 1000000000000, 1000000000000, 1000000000000)")),
    crafted(header("'<f4'", "(" + "1," * 100 + ")"), FOUR),
    crafted(header("'<U0'", "(1000000000, 2)")),
    crafted(header("'|V0'", "(1000000000, 2)")),
    crafted(header("('<f4', (2,))", "(1,)"), FOUR * 2),
    crafted(header("'<U1'", "(1, 2)"), b"\xff" * 8),
    crafted(header("'<U1'", "(1, 2)"), b"\x00\xd8\x00\x00" * 2),
    crafted(header("'<f4'", "(True, 2)"), FOUR),
    crafted(header("'<q9'", "(1, 2)")),
    crafted(header("__import__('os')", "(1, 2)")),
    crafted("{'descr': ("),
    crafted("{" * 5000),
    crafted("{'descr': '<f4'}"),
    crafted("(" * 9_000),
    crafted(" " * 20_000),
    crafted("1 if"),
    crafted("\n  x\n y"),
    crafted(header("'<f4'", "(1L, 2)")),
    crafted(header("'<f4'", "(1, 2)"), FOUR * 2, version=b"\x09\x00"),
    crafted(header("'<f4'", "(1, 2)"), FOUR),
    crafted(header("'<f4'", "(1, 2)"), FOUR * 3),
    b"",
    b"PK\x03\x04",
    b"\x93NUMPY",
    b"\x93NUMPY\x01\x00\xff\xff{",
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    b'{"data": [[1, 2]]}',
]


@pytest.mark.parametrize("dtype", ["float32", "string", "int64"])
@pytest.mark.parametrize("place", range(len(LIES)))
def test_a_header_that_lies_is_refused(place: int, dtype: str) -> None:
    assert bodies.outcome(NpyBody(table(dtype), max_rows=10), LIES[place]) is None


def test_a_text_of_no_characters_is_named_with_its_row() -> None:
    body = crafted(header("'<U1'", "(2, 2)"), b"a\0\0\0" * 3 + b"\xff" * 4)
    with pytest.raises(Invalid, match="row 1"):
        decode(table("string"), body)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_cut_or_changed_file_is_read_or_refused_and_nothing_else_happens(place: int, byte: int) -> None:
    whole = bytearray(saved(np.zeros((2, 2), np.float32)))
    bodies.outcome(NpyBody(table("float32"), max_rows=10), bytes(whole[:place]))
    whole[place % len(whole)] = byte
    bodies.outcome(NpyBody(table("float32"), max_rows=10), bytes(whole))


def test_what_is_malformed_is_told_in_one_short_line() -> None:
    with pytest.raises(Malformed) as caught:
        decode(table("float32"), crafted("{" * 5000))
    assert len(caught.value.message) < 300
    assert "\n" not in caught.value.message
