"""The wire format: what is written is read back, and no bytes at all make the reader loop or crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import DamagedModel
from septet.runtimes.onnx import onnx_graph, onnx_wire

NUMBERS = st.integers(1, 2**29 - 1)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def unsigned(value: int) -> int:
    return value % 2**64


@given(st.lists(st.tuples(NUMBERS, st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300)))))
def test_fields_are_read_back_as_written(fields: list[tuple[int, int | bytes]]) -> None:
    image = memoryview(b"".join(onnx_wire.encode(number, value) for number, value in fields))
    assert list(onnx_wire.fields(image)) == fields
    assert b"".join(written for _, _, written in onnx_wire.spans(image)) == image


@given(st.lists(INTEGERS))
def test_integers_are_read_packed_and_unpacked(values: list[int]) -> None:
    packed = memoryview(b"".join(onnx_wire.encode_varint(unsigned(value)) for value in values))
    assert list(onnx_wire.integers(packed)) == values
    assert [item for value in values for item in onnx_wire.integers(unsigned(value))] == values


@given(st.text())
def test_text_is_read_back(text: str) -> None:
    ((number, value),) = onnx_wire.fields(memoryview(onnx_wire.encode(3, text)))
    assert (number, onnx_wire.text(value)) == (3, text)


def test_fixed_sizes_are_handed_out_as_bytes_and_copied_as_written() -> None:
    image = memoryview(b"\x0d\x01\x02\x03\x04" + b"\x11" + bytes(8))
    assert [(number, bytes(onnx_wire.view(value))) for number, value in onnx_wire.fields(image)] == [
        (1, b"\x01\x02\x03\x04"),
        (2, bytes(8)),
    ]
    assert b"".join(written for _, _, written in onnx_wire.spans(image)) == image


@pytest.mark.parametrize("image", [b"\x0b", b"\x08", b"\x0a\x05ab", b"\x02\x00", b"\x0d\x01", b"\x08" + b"\xff" * 11])
def test_fields_that_are_cut_short_or_of_unknown_type_are_damage(image: bytes) -> None:
    with pytest.raises(DamagedModel):
        list(onnx_wire.fields(memoryview(image)))


def test_values_of_the_other_type_are_damage() -> None:
    for read, value in ((onnx_wire.view, 1), (onnx_wire.text, 1), (onnx_wire.signed, memoryview(b""))):
        with pytest.raises(DamagedModel):
            read(value)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_graph_or_damage(image: bytes) -> None:
    try:
        graph = onnx_graph.read(memoryview(image))
    except DamagedModel:
        return
    assert graph.ir_version is not None
