"""One row of numbers, the commonest body, has a shorter way through the decoder: it means the same on both."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody
from tests.budgets import examples


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
FRAMES = st.sampled_from(["[[@]]", " [ [@] ]\n", "[[@], [@]]", "[@]", "[[@]]]", "[[[@]]]", "[]"])


def meaning(read: JsonBody, body: str) -> Any:
    try:
        found = read(body.encode())
    except SeptetError as error:
        return type(error), error.problems
    return {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in found.tensors.items()}, found.rows


@given(st.sampled_from(SIGNATURES), FRAMES, ROWS)
@settings(max_examples=examples(100))
def test_a_row_means_the_same_with_an_id_beside_it(taken: Signature, frame: str, row: str) -> None:
    read, data = JsonBody(taken, max_rows=5), frame.replace("@", row)
    assert meaning(read, f'{{"data": {data}}}') == meaning(read, f'{{"data": {data}, "id": "a"}}')


@given(st.sampled_from(SIGNATURES), ROWS, ROWS)
@settings(max_examples=examples(50))
def test_a_second_key_is_refused_beside_a_single_row(taken: Signature, row: str, other: str) -> None:
    read = JsonBody(taken, max_rows=5)
    for body in (
        f'{{"data": [[{row}]], "data": [[{other}]]}}',
        f'{{"data": [[{row}]], "inputs": {{"x": [[{other}]]}}}}',
    ):
        assert issubclass(meaning(read, body)[0], SeptetError)
