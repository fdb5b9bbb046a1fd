"""A package's word that rows are independent is held against nulls, unknown texts and extreme values."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from septet.errors import GoldenMismatch
from septet.model.golden import Golden
from septet.model.sample import sample
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.model.validation import problems
from septet.predictor.comparison import ABSOLUTE, RELATIVE, difference, require_independence
from septet.predictor.extreme_rows import extreme_rows, nulls
from septet.runtimes.echo.echo_runtime import EchoRuntime
from septet.types import Array, Tensors

COLUMNS = (
    Column("free", "float64", nullable=True),
    Column("bound", "float64", minimum=0.0, maximum=1.0),
    Column("whole", "int64"),
    Column("flag", "bool"),
)
TEXTS = (Column("any", "string", nullable=True), Column("listed", "string", categories=("a", "b")))
SIGNATURE = Signature(
    Kind.TENSORS,
    (
        Tensor("x", "float64", (None, 4), COLUMNS),
        Tensor("t", "string", (None, 2), TEXTS),
        Tensor("i", "float32", (None, 2, 2)),
        Tensor("k", "int64", (None, 3)),
    ),
    (Tensor("y", "float64", (None,)),),
)


class Function(EchoRuntime):
    """Computes one number for each row from all tensors."""

    def __init__(self, function: Callable[[Tensors], Array]) -> None:
        super().__init__(SIGNATURE)
        self._function = function

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:  # noqa: ARG002
        return {"y": np.asarray(self._function(tensors))}


def free(tensors: Tensors) -> Array:
    return np.asarray(tensors["x"][:, 0])


def texts(tensors: Tensors) -> list[str]:
    return [text or "" for text in tensors["t"][:, 0].tolist()]


def golden(rows: int = 3) -> Golden:
    request = {name: np.repeat(array, rows, axis=0) for name, array in sample(SIGNATURE).items()}
    request["x"][:, 0] = np.arange(rows)
    return Golden(request, {}, 0.0, 0.0)


def test_extreme_rows_are_rows_that_the_signature_allows() -> None:
    rows = extreme_rows(SIGNATURE, sample(SIGNATURE))
    assert problems(SIGNATURE, rows) == ()
    assert {array.dtype for array in rows.values()} == {array.dtype for array in sample(SIGNATURE).values()}
    assert {1e6, -1e30} <= set(rows["x"][:, 0].tolist())
    assert np.isnan(rows["x"][:, 0]).any()
    assert set(rows["x"][:, 2].tolist()) >= {1e6, -1e6}
    assert "" in rows["t"][:, 0]
    assert None in rows["t"][:, 0]
    assert set(rows["t"][:, 1].tolist()) == {"a"}
    assert max(len(text or "") for text in rows["t"][:, 0]) > 1000
    assert np.isnan(rows["i"]).any()


def test_each_column_that_may_be_missing_is_missing_once_by_itself() -> None:
    rows = list(nulls(SIGNATURE, sample(SIGNATURE)))
    assert len(rows) == 2
    assert np.isnan(rows[0]["x"][0, 0])
    assert rows[1]["t"][0, 0] is None
    assert not np.isnan(rows[1]["x"]).any()


MIXING: list[Callable[[Tensors], Array]] = [
    lambda tensors: np.where(np.isnan(free(tensors)), np.nanmean(np.nan_to_num(free(tensors))), free(tensors)),
    lambda tensors: free(tensors) / max(1.0, np.nanmax(np.abs(free(tensors)))),
    lambda tensors: np.full(len(free(tensors)), float(np.isnan(free(tensors)).any())),
    lambda tensors: np.full(len(free(tensors)), max(map(len, texts(tensors))), float),
    lambda tensors: np.array([float(len(set(texts(tensors)))) for _ in texts(tensors)]),
    lambda tensors: np.sort(free(tensors)),
    lambda tensors: free(tensors)[:1].repeat(len(free(tensors))),
    lambda tensors: free(tensors)[: max(1, len(free(tensors)) - 1)],
]


@pytest.mark.parametrize("function", MIXING)
@pytest.mark.filterwarnings("ignore")
def test_code_whose_rows_meet_is_found_out(function: Callable[[Tensors], Array]) -> None:
    with pytest.raises(GoldenMismatch, match="row_independent"):
        require_independence("package", Function(function), SIGNATURE, golden())


def test_code_that_fails_on_rows_together_is_found_out() -> None:
    def one(tensors: Tensors) -> Array:
        if len(free(tensors)) > 1:
            message = "one row only"
            raise RuntimeError(message)
        return free(tensors)

    with pytest.raises(GoldenMismatch, match="fail together"):
        require_independence("package", Function(one), SIGNATURE, golden())


def test_code_that_keeps_rows_apart_is_believed_also_where_it_refuses_some() -> None:
    def refusing(tensors: Tensors) -> Array:
        if (np.abs(np.nan_to_num(free(tensors))) > 1e20).any():
            message = "too large"
            raise ValueError(message)
        return np.nan_to_num(free(tensors)) * 2 + [len(text) for text in texts(tensors)]

    require_independence("package", Function(refusing), SIGNATURE, golden(100))


def test_differences_are_measured_against_the_largest_number_of_a_row() -> None:
    alone = {"y": np.array([[1000.0, 1e-3, np.nan, np.inf]])}

    def among(*values: float) -> Tensors:
        return {"y": np.array([values])}

    assert difference(alone, among(1000.0, 1e-3, np.nan, np.inf), 0) == difference(alone, alone, 0)
    close = difference(alone, among(1000.0, 1e-3 + RELATIVE * 500, np.nan, np.inf), 0)
    assert close.where == ""
    assert close.largest == pytest.approx(RELATIVE * 500)
    assert difference(alone, among(1000.0, 1.0, np.nan, np.inf), 0).where
    assert difference(alone, among(1000.0, 1e-3, 0.0, np.inf), 0).where
    assert difference(alone, among(1000.0, 1e-3, np.nan, 0.0), 0).where
    assert difference(alone, {}, 0).where
    assert not difference({"y": np.zeros(1)}, {"y": np.full(1, ABSOLUTE / 2)}, 0).where
    assert difference({"y": np.array(["a"])}, {"y": np.array(["b"])}, 0).where
