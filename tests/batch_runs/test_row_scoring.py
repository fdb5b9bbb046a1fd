"""Rows are answered as the server answers them, and bad ones are told apart."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from septet.assembly.loading import load_service
from septet.batch_runs.column_matching import ColumnMatching
from septet.batch_runs.kept_columns import KeptColumn, kept_array, kept_columns
from septet.batch_runs.row_scoring import RowScorer, ScoredRows
from septet.errors import Invalid
from septet.service import Merging, Service
from septet.settings import Model, Settings
from septet.tables.column_batch import ColumnBatch, TableForm
from septet.types import Request, Response, adapt
from tests.e2e.process import IRIS
from tests.protocols import models

NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
MATCHING = ColumnMatching({name: name for name in NAMES})


@pytest.fixture(scope="module")
def iris() -> Service:
    return load_service(IRIS, Settings(model=Model(max_batch_rows=1)))


def exact(service: Service) -> Service:
    return msgspec.structs.replace(service, merging=lambda: Merging(merged=True, reason="proven", exact=True))


def scored(service: Service, batch: ColumnBatch, matching: ColumnMatching = MATCHING) -> ScoredRows:
    return asyncio.run(RowScorer(service, matching).score(batch, "test"))


def flowers(rows: int, first_row: int = 0) -> ColumnBatch:
    values = np.random.default_rng(1).uniform(0.1, 7, (4, rows)).astype(np.float32)
    return ColumnBatch(dict(zip(NAMES, map(pa.array, values), strict=True)), rows, first_row)


@pytest.mark.parametrize("change", [lambda service: service, exact])
def test_each_row_is_answered_as_alone(iris: Service, change: Callable[[Service], Service]) -> None:
    seen: list[int] = []

    async def counted(request: Request) -> Response:
        seen.append(request.rows)
        return await iris.predictor.predict(request)

    batch = flowers(20)
    found = scored(change(msgspec.structs.replace(iris, predictor=adapt(counted))), batch)
    assert seen == ([20] if change is exact else [1] * 20)
    for at in range(20):
        alone = scored(iris, ColumnBatch({name: values[at : at + 1] for name, values in batch.columns.items()}, 1))
        if change is not exact:
            assert {name: array[at] for name, array in found.answers.items()} == {
                name: array[0] for name, array in alone.answers.items()
            }
        assert found.answers["label"][at] == alone.answers["label"][0]


def test_every_bad_row_is_told_and_no_other(iris: Service) -> None:
    columns: dict[str, Any] = dict(flowers(100, 500).columns)
    cells = columns[NAMES[0]].to_pylist()
    for at in range(0, 100, 2):
        cells[at] = None
    columns[NAMES[0]] = pa.array(cells, pa.float32())
    columns[NAMES[1]] = pa.array([float("nan") if at == 1 else 1.0 for at in range(100)], pa.float32())
    found = scored(iris, ColumnBatch(columns, 100, 500))
    assert found.good.tolist() == list(range(3, 100, 2))
    assert len(found.answers["label"]) == 49
    told = [(problem.row, problem.column, problem.received) for problem in found.problems]
    assert told == sorted([(500 + at, NAMES[0], "null") for at in range(0, 100, 2)] + [(501, NAMES[1], "NaN")])


def test_no_row_at_all_has_the_same_columns(iris: Service) -> None:
    whole = scored(iris, flowers(1))
    none = scored(iris, ColumnBatch({name: pa.array([None], pa.float32()) for name in NAMES}, 1))
    assert {name: array.type for name, array in none.answers.items()} == {
        name: array.type for name, array in whole.answers.items()
    }
    assert not len(none.good)


@pytest.mark.parametrize("change", [lambda service: service, exact])
def test_a_row_that_the_model_refuses_spoils_no_other(change: Callable[[Service], Service]) -> None:
    made = models.classifier()

    async def fussy(request: Request) -> Response:
        if (request.tensors["X"][:, 0] == 7).any():
            raise Invalid("seven is too many")
        return await made.predictor.predict(request)

    columns = {f"c{at}": np.arange(10, dtype=np.float32) for at in range(4)}
    matching = ColumnMatching({name: name for name in columns})
    found = scored(change(msgspec.structs.replace(made, predictor=adapt(fussy))), ColumnBatch(columns, 10), matching)
    assert found.good.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert [(problem.row, problem.received) for problem in found.problems] == [(7, "seven is too many")]


def test_texts_and_records_are_read_as_online(iris: Service) -> None:
    texts = {name: ["5.1", "x"] for name in NAMES}
    found = scored(iris, ColumnBatch({**texts, "id": ["a", "b"]}, 2, form=TableForm.TEXTS))
    assert found.good.tolist() == [0]
    records: dict[str, Any] = {name: [5.1, 5.1] for name in NAMES}
    records[NAMES[2]] = [5.1, msgspec.UNSET]
    found = scored(iris, ColumnBatch(records, 2, form=TableForm.RECORDS))
    assert found.good.tolist() == [0]
    assert found.problems[0].received == "no such key"


def test_columns_are_told_by_the_names_that_they_have_in_the_source(iris: Service) -> None:
    columns = {f"my {name}": [1.0, None] for name in NAMES}
    matching = ColumnMatching({name: f"my {name}" for name in NAMES})
    found = scored(iris, ColumnBatch({n: pa.array(v) for n, v in columns.items()}, 2), matching)
    assert {problem.column for problem in found.problems} == set(columns)


def kept(values: list[Any], first: list[Any] | None = None) -> tuple[list[Any], list[int | None]]:
    batch = ColumnBatch({"k": first if first is not None else values}, len(first or values), form=TableForm.RECORDS)
    (column,) = kept_columns({"k": "k"}, batch)
    array, problems = kept_array(column, ColumnBatch({"k": values}, len(values), 10, TableForm.RECORDS))
    return array.to_pylist(), [problem.row for problem in problems]


def test_kept_values_of_json_have_the_type_of_the_first_rows() -> None:
    assert kept([1, None, 2**60]) == ([1, None, 2**60], [])
    assert kept([1, 2.5]) == ([1.0, 2.5], [])
    assert kept(["a", msgspec.UNSET]) == (["a", None], [])
    assert kept([{"a": 1}, "b", None]) == (['{"a":1}', '"b"', None], [])
    assert kept([1, "x", 2**70, True], first=[1]) == ([1, None, None, None], [11, 12, 13])
    assert kept([2**53 + 1, 1], first=[1.5]) == ([None, 1.0], [10])


def test_kept_values_with_types_are_kept_as_they_are() -> None:
    array = pa.array([1, None], pa.uint8())
    column = KeptColumn("k", "k")
    assert kept_array(column, ColumnBatch({"k": array}, 2))[0] is array
