"""Warm-up finds out whether rows are independent before any are merged."""

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from septet.model.sample import sample
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.predictor.warmup import MANY_ROWS, MOST_BYTES, varied, warm_up
from septet.runtimes.base import Independence
from septet.runtimes.echo.echo_runtime import EchoRuntime
from septet.types import Array, Tensors


class Function(EchoRuntime):
    """A model of one tensor that computes a function of the whole batch."""

    def __init__(self, signature: Signature, function: Callable[[Array], Array]) -> None:
        super().__init__(signature)
        self._function = function

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        super().run(tensors, outputs)
        return {"y": self._function(tensors["x"])}


def signature(dtype: str = "float32", **column: Any) -> Signature:
    columns = tuple(Column(f"c{at}", dtype, **column) for at in range(2))
    return Signature(Kind.TENSORS, (Tensor("x", dtype, (None, 2), columns),), (Tensor("y", "float32", (None, 2)),))


def centred(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=0))


def softmax_over_rows(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def only_one_row(x: Array) -> Array:
    if len(x) > 1:
        message = "one row only"
        raise RuntimeError(message)
    return x


MIXING = [centred, softmax_over_rows, only_one_row, lambda x: x.sum(axis=0, keepdims=True), lambda x: x[::-1]]


@pytest.mark.parametrize("function", MIXING)
@pytest.mark.parametrize("bounds", [{}, {"minimum": 0.0, "maximum": 1.0}, {"maximum": 0.0}, {"minimum": 5.0}])
def test_a_model_whose_rows_depend_on_each_other_is_not_merged(
    function: Callable[[Array], Array], bounds: dict[str, Any]
) -> None:
    shape = signature(**bounds)
    assert not warm_up(Function(shape, function), shape, sample(shape)).merging.merged


def test_rows_of_whole_numbers_that_depend_on_each_other_are_not_merged() -> None:
    shape = signature("int64")
    assert not warm_up(Function(shape, centred), shape, sample(shape)).merging.merged


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool"])
def test_a_model_of_independent_rows_is_merged(dtype: str) -> None:
    shape = signature(dtype)
    warmth = warm_up(Function(shape, lambda x: x * 2), shape, sample(shape))
    assert warmth.merging.merged
    assert warmth.answer["y"].shape == (1, 2)
    assert 0 <= warmth.latency.seconds(1) <= warmth.latency.seconds(100)


def test_a_unit_without_rows_is_not_merged() -> None:
    unit = Signature(Kind.TENSORS, (Tensor("x", "float32", (2,)),), (Tensor("y", "float32", (2,)),), rows=False)
    model = Function(unit, lambda x: x)
    assert not warm_up(model, unit, sample(unit)).merging.merged
    assert set(model.runs) == {2}


def test_varied_rows_keep_bounds_categories_and_the_sample() -> None:
    columns = (
        Column("f", "float64", minimum=0.0, maximum=1.0),
        Column("g", "float64", maximum=0.0),
    )
    words = Column("w", "string", categories=("a", "b"))
    inputs = (Tensor("x", "float64", (None, 2), columns), Tensor("w", "string", (None,), (words,)))
    shape = Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None,)),))
    rows = varied(shape, sample(shape), MANY_ROWS)
    assert rows["x"].shape == (MANY_ROWS, 2)
    assert set(rows["w"].tolist()) == {"a", "b"}
    assert rows["x"][:, 0].min() >= 0
    assert rows["x"][:, 0].max() <= 1
    assert rows["x"][:, 1].max() <= 0
    assert len(set(rows["x"][:, 0].tolist())) > 1
    np.testing.assert_array_equal(rows["x"][0], sample(shape)["x"][0])


def test_varied_rows_are_what_their_columns_take() -> None:
    columns = (
        Column("whole", "int64"),
        Column("bound", "int64", maximum=0),
        Column("no", "bool"),
    )
    shape = Signature(Kind.TENSORS, (Tensor("x", "float64", (None, 3), columns),), (Tensor("y", "float32", (None,)),))
    rows = varied(shape, {"x": np.array([[5.0, 0.0, 1.0]])}, MANY_ROWS)["x"]
    np.testing.assert_array_equal(rows, np.floor(rows))
    np.testing.assert_array_equal(rows[0], [5, 0, 1])
    assert rows[:, 1].max() == 0
    assert set(rows[:, 2].tolist()) == {0.0, 1.0}
    assert all(len(set(column.tolist())) > 1 for column in rows.T)


def test_rows_beside_extreme_ones_forbid_merging_whatever_was_proven() -> None:
    """A scale from the largest value shows nothing on ordinary rows."""
    shape = signature()

    def scaled(x: Array) -> Array:
        step = max(np.float32(1.0), np.abs(np.nan_to_num(x)).max() / np.float32(1e3))
        return np.asarray(np.round(x / step) * step)

    merging = warm_up(Function(shape, scaled), shape, sample(shape)).merging
    assert not merging.merged
    assert "depend on each other" in merging.reason


class Plain(EchoRuntime):
    """Takes no memory besides its answer's."""

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        assert outputs is None
        self.runs.append(len(tensors["x"]))
        return {"y": tensors["x"] * 2}


def wide(values: int) -> Signature:
    tensors = [Tensor(name, "float32", (None, 1, values)) for name in "xy"]
    return Signature(Kind.TENSORS, (tensors[0],), (tensors[1],))


def test_warm_up_of_wide_rows_takes_a_few_times_the_bytes_of_one() -> None:
    """Rows of 10 MB: 16 of them, 22 beside extreme ones, and the answers would be 760 MB and their copies."""
    values = MOST_BYTES // 4 // 6
    shape, row = wide(values), values * 4
    model, given = Plain(shape), sample(shape)
    tracemalloc.start()
    try:
        found = warm_up(model, shape, given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.merging.merged
    assert max(model.runs) <= 4
    assert peak < 24 * row


def test_rows_with_large_answers_are_compared_beside_every_extreme_one() -> None:
    seen: set[float] = set()
    most = 0

    class Widening(EchoRuntime):
        def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
            nonlocal most
            assert outputs is None
            seen.update(np.nan_to_num(tensors["x"].ravel(), nan=-7.0).tolist())
            most = max(most, len(tensors["x"]))
            return {"y": np.broadcast_to(tensors["x"], (len(tensors["x"]), 1, MOST_BYTES // 8))}  # takes no memory

    shape = wide(1)
    assert warm_up(Widening(shape), shape, sample(shape)).merging.merged
    assert most == 3
    assert {float(np.float32(value)) for value in (1e6, -1e30, -7, -1e6, 1e-30)} <= seen


def test_a_model_that_is_not_proven_is_not_merged_though_nothing_speaks_against_it() -> None:
    shape = signature()
    doubt = Independence(proven=False, reason="nobody knows it")
    merging = warm_up(EchoRuntime(shape, independence=doubt), shape, sample(shape)).merging
    assert (merging.merged, merging.reason) == (False, "nobody knows it")


def test_a_difference_within_the_tolerance_is_said_to_be_one() -> None:
    shape = signature()

    def rounded(x: Array) -> Array:
        return np.asarray(x + np.float32(1e-6 if len(x) > 1 else 0.0))

    merging = warm_up(Function(shape, rounded), shape, sample(shape)).merging
    assert (merging.merged, merging.exact, merging.relative_tolerance) == (True, False, 1e-4)
