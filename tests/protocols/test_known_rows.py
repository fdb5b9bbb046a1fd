"""A body with one row of numbers that is like the last means what it means to who reads it for the first time."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody


def signature(dtype: str, *, nullable: bool = False, shape: tuple[int | None, ...] = (None, 2)) -> Signature:
    columns = tuple(Column(f"c{at}", dtype, nullable=nullable) for at in range(shape[1] or 1 if len(shape) > 1 else 1))
    return Signature(Kind.TENSORS, (Tensor("x", dtype, shape, columns),), (Tensor("y", "float32", (None,)),))


SIGNATURES = [
    *(signature(dtype) for dtype in ("float32", "float16", "float64", "int8", "int64", "uint64", "bool", "string")),
    signature("float32", nullable=True),
    signature("float64", shape=(None,)),
    signature("int32", shape=(None, 1)),
]
VALUES = st.sampled_from(
    ["1", "2.5", "-0", "1e39", "70000", "128", "18446744073709551616", "true", "null", '"a"', '"]"', "NaN", "[1]", ""]
)
ROWS = st.lists(VALUES, min_size=1, max_size=3).map(", ".join)
FRAMES = st.sampled_from(
    [
        '{"data": [[@]]}',
        '{"data":[[@]]}',
        ' {"data": [ [@] ]}\n',
        '{"data": [[@]], "id": null}',
        '{"data": [[@]], "id": "a"}',
        '{"id": "[[", "data": [[@]]}',
        '{"d\\u0061ta": [[@]]}',
        '{"data": [[@], [@]]}',
        '{"data": [[@]], "data": [[@]]}',
        '{"records": [{"c0": 1, "c1": @}]}',
        '{"inputs": {"x": [[@]]}}',
        '{"data": [@]}',
        '{"data": [[@]]',
        '{"data": [[@]]}]}',
        '{"data": []}',
    ]
)
BODIES = st.builds(lambda frame, row: frame.replace("@", row).encode(), FRAMES, ROWS)


def meaning(read: JsonBody, body: bytes) -> Any:
    try:
        found = read(body)
    except SeptetError as error:
        return type(error), error.message, error.problems
    tensors = {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in found.tensors.items()}
    return tensors, found.rows, found.id


@given(st.sampled_from(SIGNATURES), st.lists(BODIES, min_size=1, max_size=6))
@settings(max_examples=500, deadline=None)
def test_what_was_read_before_changes_no_meaning(taken: Signature, bodies: list[bytes]) -> None:
    warm = JsonBody(taken, max_rows=5)
    for body in bodies * 2:
        assert meaning(warm, body) == meaning(JsonBody(taken, max_rows=5), body)


@pytest.mark.parametrize("frame", [b'{"data": [[%b]]}', b'{ "data":[ [%b]\n] , "id":null}'])
def test_other_numbers_in_a_known_body_are_read_at_once(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    read = JsonBody(signature("float32"), max_rows=5)
    read(frame % b"1, 2")
    monkeypatch.setattr(read, "compiled", None)
    assert read(frame % b"3.5,-4e1").tensors["x"].tolist() == [[3.5, -40.0]]
    with pytest.raises(TypeError):
        read(frame % b"1, 2], [3, 4")
