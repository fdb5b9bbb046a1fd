"""The examples train to what they promise, and the shipped ones prove themselves."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from septet.model.golden import mismatches
from septet.model.package import read_package
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import load

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


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


# digits is left out: its network trains for half a minute.
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "mixed"])
@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_an_example_trains_to_a_compiled_package(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skl2onnx")
    saved = example(name, monkeypatch).train(tmp_path / name)
    assert (saved.package.manifest.runtime, saved.trust) == ("onnx", ())
    assert saved.package.manifest.parity is not None
    assert saved.package.manifest.training.metrics
    runtime = load("onnx", saved.package.artefact, LoadOptions())
    assert runtime.independence.proven, runtime.independence.reason


def test_the_columns_of_the_mixed_example_say_what_they_accept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skl2onnx")
    saved = example("mixed", monkeypatch).train(tmp_path / "mixed")
    columns = {column.name: column for column in saved.package.manifest.signature.columns}
    assert [name for name, column in columns.items() if column.nullable] == ["income"]
    assert (columns["plan"].categories, columns["plan"].other_categories) == (("basic", "business", "family"), False)
    assert columns["country"].other_categories
