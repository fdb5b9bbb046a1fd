import numpy as np
from hypothesis import given, settings

from septet.model.sample import sample
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.model.validation import problems
from tests.budgets import examples
from tests.model.strategies import signatures


@given(signatures())
@settings(max_examples=examples(75))
def test_a_sample_fits_its_signature(signature: Signature) -> None:
    row = sample(signature)
    assert problems(signature, row) == ()
    for tensor in signature.inputs:
        array = row[tensor.name]
        assert array.dtype == DTYPES[tensor.dtype]
        assert array.shape == tuple(1 if size is None else size for size in tensor.shape)


def test_values_are_the_middle_of_bounds_the_first_category_or_nothing() -> None:
    inputs = (
        Tensor(
            "x",
            "float32",
            (None, 4),
            (
                Column("a", "float32", minimum=4, maximum=8),
                Column("b", "float32", minimum=3),
                Column("c", "float32", maximum=-3),
                Column("d", "float32"),
            ),
        ),
        Tensor("s", "string", (None, 2), (Column("e", "string", categories=("red", "blue")), Column("f", "string"))),
        Tensor("n", "int64", (None,), (Column("g", "int64", minimum=1, maximum=4),)),
        Tensor("i", "uint8", (None, 3, None)),
    )
    row = sample(Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None,)),)))
    assert row["x"].tolist() == [[6, 3, -3, 0]]
    assert row["s"].tolist() == [["red", ""]]
    assert row["n"].tolist() == [2]
    np.testing.assert_array_equal(row["i"], np.zeros((1, 3, 1), np.uint8), strict=True)
