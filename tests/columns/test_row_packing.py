"""Values that are packed: the very bits that numpy makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.columns.row_packing import RowPacking, packable
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.model.values import FLOAT_LIMITS
from septet.tensors import joined
from tests.protocols import bodies

NUMBERS = [name for name, dtype in DTYPES.items() if dtype.kind not in "OM"]
OUTPUTS = (Tensor("y", "float32", (None,)),)


@given(st.sampled_from(NUMBERS), st.integers(1, 4), st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_numbers_become_what_numpy_makes_of_them(dtype: str, width: int, sizes: list[int], data: st.DataObject) -> None:
    limit = FLOAT_LIMITS.get(dtype)
    # Any double that may be sent, not only those that the dtype can hold.
    values = bodies.elements(dtype) if limit is None else st.floats(-limit, limit)
    made, arrays = [], []
    packed = RowPacking((Tensor("x", dtype, (None, width)),))
    (one,) = packed.inputs
    for rows in sizes:
        numbers = data.draw(st.lists(values, min_size=rows * width, max_size=rows * width))
        arrays.append(np.array(numbers, DTYPES[dtype]).reshape(rows, width))
        pack = one.packer(rows * width)
        assert pack is not None
        by_row = one.rows(arrays[-1].tolist(), rows)
        made.append(packed.tensors([data.draw(st.sampled_from([pack(*numbers), by_row, arrays[-1].tobytes()]))]))
        assert made[-1]["x"].dtype == DTYPES[dtype]
        assert made[-1]["x"].shape == (rows, width)
        assert made[-1]["x"].tobytes() == arrays[-1].tobytes()
    assert joined(made)["x"].tobytes() == np.concatenate(arrays).tobytes()


def test_several_inputs_are_made_each_of_its_own_values() -> None:
    missing = Column("m", "float32", nullable=True)
    packed = RowPacking(
        (Tensor("n", "int8", (None, 2)), Tensor("t", "string", (None,)), Tensor("m", "float32", (None,), (missing,)))
    )
    numbers = packed.inputs[0]
    assert [each.packer(1) for each in packed.inputs[1:]] == [None, None]
    made = [
        packed.tensors([numbers.row([1, 2]), ["a"], [None]]),
        packed.tensors([numbers.rows([[3, 4], [5, 6]], 2), ["b", "c"], [1.5, 2.5]]),
    ]
    assert made[0]["t"].tolist() == ["a"]
    together = joined(made)
    assert together["n"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert together["t"].tolist() == ["a", "b", "c"]
    assert repr(together["m"].tolist()) == "[nan, 1.5, 2.5]"


@pytest.mark.parametrize(("dtype", "value"), [("uint64", 2**64), ("int8", 128)])
def test_a_whole_number_that_does_not_fit_is_an_overflow(dtype: str, value: int) -> None:
    (one,) = RowPacking((Tensor("x", dtype, (None, 1)),)).inputs
    with pytest.raises(OverflowError):
        one.rows([[value]], 1)
    with pytest.raises(OverflowError):
        one.rows([[1], [value]], 2)


@pytest.mark.parametrize(
    ("inputs", "rows", "fits"),
    [
        ((Tensor("x", "float32", (None, 2)),), True, True),
        ((Tensor("x", "bool", (None,)),), True, True),
        ((Tensor("x", "float32", (None, 3, 2)),), True, True),
        ((Tensor("x", "string", (None, 2)),), True, True),
        ((Tensor("x", "float32", (None, None)),), True, False),
        ((Tensor("x", "float32", (None, 0)),), True, False),
        ((Tensor("x", "float32", (1, 2)),), False, False),
        ((Tensor("x", "float32", (None, 1), (Column("c", "float32", nullable=True),)),), True, True),
        ((Tensor("x", "float32", (None,)), Tensor("z", "float32", (None, None))), True, False),
    ],
)
def test_only_rows_of_one_shape_are_packed(inputs: tuple[Tensor, ...], *, rows: bool, fits: bool) -> None:
    assert packable(Signature(Kind.TENSORS, inputs, OUTPUTS, rows)) is fits
