"""`septet check --native` compares a package with the estimator it was compiled from; `inspect` shows the choice."""

import re
from pathlib import Path

import numpy as np
import pytest

from septet.cli.main import main
from septet.model.package import Package
from septet.packing.artefact import trusting
from tests.packing.saving import save

pytest.importorskip("skl2onnx")

import joblib
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

ROWS = np.random.default_rng(0).normal(size=(80, 2))
SIGN = (ROWS[:, 0] > 0).astype(int)


@pytest.fixture
def native(tmp_path: Path) -> Path:
    file = tmp_path / "tree.joblib"
    joblib.dump(DecisionTreeClassifier(max_depth=2, random_state=0).fit(ROWS, SIGN), file)
    return file


@pytest.fixture
def package(native: Path, tmp_path: Path) -> Package:
    return save(joblib.load(native), tmp_path / "tree", data=ROWS).package


def check(package: Package, native: Path, *words: object) -> int:
    return main(["check", str(package.root), "--native", str(native), *trust(native), *map(str, words)])


def trust(file: Path) -> list[str]:
    return ["--trust", trusting(file).trust[0]]


def test_the_native_model_agrees(package: Package, native: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(package, native) == 0
    assert "native" in capsys.readouterr().out


def test_real_rows_are_compared_too(package: Package, native: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, ROWS)
    assert check(package, native, "--data", rows) == 0


def test_another_model_fails_with_the_row_that_tells(
    package: Package, native: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joblib.dump(DecisionTreeClassifier(max_depth=2).fit(ROWS, 1 - SIGN), native)
    assert check(package, native) == 1
    out = capsys.readouterr().out
    assert "FAIL  native" in out
    assert "the native model gives" in out


def test_a_model_of_other_columns_is_refused(
    package: Package, native: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joblib.dump(DecisionTreeClassifier().fit(ROWS[:, :1], SIGN), native)
    assert check(package, native) == 1
    assert "it is not the package's model" in capsys.readouterr().out


def test_a_native_model_that_is_not_trusted_is_not_loaded(
    package: Package, native: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(package.root), "--native", str(native)]) == 1
    assert "--trust sha256:" in capsys.readouterr().out


def test_only_a_package_is_compared(package: Package, native: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(package.artefact), "--native", str(native), *trust(native)]) == 1
    assert "only a package" in capsys.readouterr().out


def test_a_package_that_does_not_load_is_not_compared(package: Package, native: Path) -> None:
    package.artefact.write_bytes(b"changed")
    assert check(package, native) == 1


def test_rows_without_a_native_model_are_refused(
    package: Package, native: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(package.root), "--data", str(native)]) == 2
    assert "give --native" in capsys.readouterr().err


def test_inspect_shows_the_engine_and_its_costs(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(package.root)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"chosen +onnx\n", out)
    assert "onnx, 1 row " in out
    assert "native, 10000 rows" in out
    assert main(["inspect", str(package.root), "--json"]) == 0
    assert '"chosen": "onnx"' in capsys.readouterr().out


def test_inspect_says_why_a_model_stays_native(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = save(FunctionTransformer(np.log1p).fit(ROWS), tmp_path / "log", data=ROWS).package
    assert main(["inspect", str(package.root)]) == 0
    out = capsys.readouterr().out
    assert "chosen  sklearn" in out
    assert "ONNX does not do" in out


def test_a_compiled_file_is_no_estimator_to_compare_with(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(package, package.artefact) == 1
    assert "give the file of the estimator" in capsys.readouterr().out
