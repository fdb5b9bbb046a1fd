"""The examples train to what they promise, and the shipped ones prove themselves."""

import functools
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import septet
from septet.model.golden import mismatches
from septet.model.package import read_package
from septet.packing.save import Saved
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import load
from tests.oracle.answers import examined
from tests.oracle.estimators import Fitted
from tests.oracle.frames import Frame
from tests.packing.saving import save

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


def test_the_columns_of_the_mixed_example_say_what_they_accept(trained: Callable[[str], Trained]) -> None:
    pytest.importorskip("skl2onnx")
    saved = trained("mixed").saved
    columns = {column.name: column for column in saved.package.manifest.signature.columns}
    assert [name for name, column in columns.items() if column.nullable] == ["income"]
    assert (columns["plan"].categories, columns["plan"].other_categories) == (("basic", "business", "family"), False)
    assert columns["country"].other_categories
