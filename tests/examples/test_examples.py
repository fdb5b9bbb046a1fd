"""The examples train to what they promise, and the shipped ones prove themselves."""

import asyncio
import functools
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pytest

import septet
from septet.assembly.loading import load_service
from septet.batch_runs.column_matching import ColumnMatching
from septet.batch_runs.row_scoring import RowScorer, runs_together
from septet.columns.conversion import TableConverter
from septet.model.golden import mismatches
from septet.model.package import read_package
from septet.packing.save import Saved
from septet.protocols.http.http_messages import HttpRequest
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import load
from septet.service import Service
from septet.settings import Model, Settings
from septet.tables.column_batch import ColumnBatch
from tests.oracle.answers import examined
from tests.oracle.estimators import Fitted
from tests.oracle.frames import Frame
from tests.packing.saving import save
from tests.protocols import models

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAINED = ["iris", "wine", "breast_cancer", "diabetes", "mixed"]
if "ORACLE_TURNS" in os.environ:  # its network trains for half a minute
    TRAINED.append("digits")
ASKED = 16


class Trained(NamedTuple):
    """What an example has saved, and what it gave to be saved."""

    saved: Saved
    model: Any
    rows: Any


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Trained]]:
    """Trains an example, once."""
    given: list[tuple[Any, Any]] = []

    def caught_save(model: Any, path: Any, *, data: Any, **more: Any) -> Saved:
        given.append((model, data))
        return save(model, path, data=data, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(septet, "save", caught_save)
        patch.syspath_prepend(str(EXAMPLES))

        @functools.cache
        def train(name: str) -> Trained:
            saved = importlib.import_module(name).train(tmp_path_factory.mktemp("examples") / name)
            return Trained(saved, *given.pop())

        yield train


def test_the_shipped_package_answers_as_when_it_was_packed() -> None:
    package = read_package(EXAMPLES / "iris")
    assert package.golden is not None
    runtime = load(package.manifest.runtime, package.artefact, LoadOptions())
    assert mismatches(package.golden, runtime.run(package.golden.request)) == ()
    assert package.manifest.valid_for_days == 36_500
    assert runtime.independence.proven
    assert load("onnx", EXAMPLES / "bare" / "iris_svc.onnx", LoadOptions()).independence.proven


def test_the_shipped_files_are_small() -> None:
    shipped = [path for folder in ("iris", "bare") for path in (EXAMPLES / folder).iterdir()]
    assert sum(path.stat().st_size for path in shipped) < 100_000


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_an_example_trains_to_a_compiled_package(name: str, trained: Callable[[str], Trained]) -> None:
    pytest.importorskip("skl2onnx")
    saved = trained(name).saved
    assert (saved.package.manifest.runtime, saved.trust) == ("onnx", ())
    assert saved.package.manifest.parity is not None
    assert saved.package.manifest.training.metrics
    runtime = load("onnx", saved.package.artefact, LoadOptions())
    assert runtime.independence.proven, runtime.independence.reason


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_an_example_answers_as_its_model_does(name: str, trained: Callable[[str], Trained]) -> None:
    _, model, rows = trained(name)
    asked = rows.iloc[-ASKED:].reset_index(drop=True) if hasattr(rows, "iloc") else rows[-ASKED:]
    found = examined(Fitted(name, model, Frame("example", rows, asked), name))
    assert not found, "\n".join(f"{finding.kind}: {finding.what[:500]}" for finding in found)


def one_by_one(service: Service, records: list[dict[str, Any]]) -> list[list[Any]]:
    """What `POST /predict` answers to each record alone, as a list of values."""
    served = models.app(service, models.native(service))
    answers = []
    for record in records:
        body = msgspec.json.encode({"records": [record]})
        reply = asyncio.run(served(HttpRequest("POST", "/predict", b"", {b"content-type": b"application/json"}, body)))
        assert reply.status == 200, reply.body
        (answer,) = msgspec.json.decode(reply.body)["prediction"]
        answers.append(answer if isinstance(answer, list) else [answer])
    return answers


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_a_table_is_answered_as_the_server_answers_each_row(name: str, trained: Callable[[str], Trained]) -> None:
    package = trained(name).saved.package
    golden, signature = package.golden, package.manifest.signature
    assert golden is not None
    alone = load_service(package.root, Settings(model=Model(max_batch_rows=1)))
    service = load_service(package.root, Settings())
    columns = {each: array.tolist() for each, array in TableConverter(signature).columns(golden.request).items()}
    rows = len(next(iter(columns.values())))
    missing = {each: [None if value != value else value for value in values] for each, values in columns.items()}  # noqa: PLR0124 - NaN
    table = {each: pa.array(values) for each, values in missing.items()}
    matching = ColumnMatching({each: each for each in columns})
    scorer = RowScorer(service if runs_together(service) else alone, matching)
    scored = asyncio.run(scorer.score(ColumnBatch(table, rows), name))
    assert not scored.problems
    shown = [values.to_pylist() for each, values in scored.answers.items() if each != "label"]
    records = [dict(zip(missing, values, strict=True)) for values in zip(*missing.values(), strict=True)]
    assert list(map(list, zip(*shown, strict=True))) == one_by_one(alone, records)


def test_the_columns_of_the_mixed_example_say_what_they_accept(trained: Callable[[str], Trained]) -> None:
    pytest.importorskip("skl2onnx")
    saved = trained("mixed").saved
    columns = {column.name: column for column in saved.package.manifest.signature.columns}
    assert [name for name, column in columns.items() if column.nullable] == ["income"]
    assert (columns["plan"].categories, columns["plan"].other_categories) == (("basic", "business", "family"), False)
    assert columns["country"].other_categories
