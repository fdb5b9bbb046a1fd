"""Numbers as bytes: the very bits that numpy makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols import packed
from septet.protocols.cells import FLOAT_LIMITS
from septet.protocols.packed import Packed, packable
from septet.tensors import joined
from tests.protocols import bodies

NUMBERS = [dtype for dtype in DTYPES if dtype != "string"]
OUTPUTS = (Tensor("y", "float32", (None,)),)


@given(st.sampled_from(NUMBERS), st.integers(1, 4), st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_numbers_become_what_numpy_makes_of_them(dtype: str, width: int, sizes: list[int], data: st.DataObject) -> None:
    limit = FLOAT_LIMITS.get(dtype)
    # Any double that may be sent, not only those that the dtype can hold.
    values = bodies.elements(dtype) if limit is None else st.floats(-limit, limit)
    made, arrays = [], []
    one = Packed(Tensor("x", dtype, (None, width)))
    for rows in sizes:
        numbers = data.draw(st.lists(values, min_size=rows * width, max_size=rows * width))
        arrays.append(np.array(numbers, DTYPES[dtype]).reshape(rows, width))
        made.append(data.draw(st.sampled_from([one.numbers(numbers), one.rows(arrays[-1].tolist(), rows)])))
        assert made[-1]["x"].dtype == DTYPES[dtype]
        assert made[-1]["x"].tobytes() == arrays[-1].tobytes()
        assert one.data(arrays[-1].tobytes())["x"].shape == (rows, width)
    assert joined(made)["x"].tobytes() == np.concatenate(arrays).tobytes()


@pytest.mark.parametrize(("dtype", "value"), [("uint64", 2**64), ("int8", 128)])
def test_a_whole_number_that_does_not_fit_is_an_overflow(dtype: str, value: int) -> None:
    one = Packed(Tensor("x", dtype, (None, 1)))
    with pytest.raises(OverflowError):
        one.numbers([value])
    with pytest.raises(OverflowError):
        one.rows([[1], [value]], 2)


def test_there_is_an_end_to_what_is_kept() -> None:
    one = Packed(Tensor("x", "float32", (None,)))
    for count in range(1, packed._MOST_PACKERS + 3):
        assert one.numbers([1.0] * count)["x"].tolist() == [1.0] * count
    assert len(one._packers) == packed._MOST_PACKERS


@pytest.mark.parametrize(
    ("inputs", "rows", "fits"),
    [
        ((Tensor("x", "float32", (None, 2)),), True, True),
        ((Tensor("x", "bool", (None,)),), True, True),
        ((Tensor("x", "float32", (None, 3, 2)),), True, True),
        ((Tensor("x", "string", (None, 2)),), True, False),
        ((Tensor("x", "float32", (None, None)),), True, False),
        ((Tensor("x", "float32", (None, 0)),), True, False),
        ((Tensor("x", "float32", (1, 2)),), False, False),
        ((Tensor("x", "float32", (None, 1), (Column("c", "float32", nullable=True),)),), True, False),
        ((Tensor("x", "float32", (None,)), Tensor("z", "float32", (None,))), True, False),
    ],
)
def test_only_the_numbers_of_a_single_input_are_packed(inputs: tuple[Tensor, ...], *, rows: bool, fits: bool) -> None:
    assert packable(Signature(Kind.TENSORS, inputs, OUTPUTS, rows)) is fits
