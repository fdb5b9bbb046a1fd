"""What is imported when: start-up time and memory are budgets."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.e2e.process import IRIS, ROOT, ServerProcess, septet_serve

# Engines other than the one served, training libraries, and what no server needs.
UNWANTED = {
    *("catboost", "joblib", "lightgbm", "onnx", "pandas", "scipy", "skl2onnx", "sklearn", "skops", "torch", "xgboost"),
    *("fastapi", "httpx", "pydantic", "requests", "starlette", "uvicorn", "click", "unittest", "setuptools", "pip"),
}
# Of these only the parts listed are unwanted: the rest is the standard library's own need.
UNWANTED_PARTS = {
    "email.message",
    "email.parser",
    "http.client",
    "http.server",
    "importlib.metadata",
    "urllib.request",
    "xml.etree",
    "sqlite3",
}
# Parts of Septet that no request has asked for.
UNUSED = ("septet.bench", "septet.protocols.openapi", "septet.tables.csv_table", "septet.tables.npy_table")
CORE_PACKAGES = 11


def imported(report: str) -> set[str]:
    """The modules that `python -X importtime` names."""
    lines = [line for line in report.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def run(*arguments: str) -> set[str]:
    """Run one command to its end; the modules that it imported."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return imported(done.stderr)


def roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_needs_no_numpy_and_no_engine(argument: str) -> None:
    found = roots(run("-m", "septet", argument))
    assert "argparse" in found
    assert not found & {*UNWANTED, "numpy", "onnxruntime", "uvloop", "prometheus_client"}


def test_importing_septet_loads_no_room_and_no_library() -> None:
    found = run("-c", "import septet")
    assert "septet" in found
    assert not roots(found) & {*UNWANTED, "numpy", "onnxruntime", "uvloop", "msgspec", "prometheus_client"}


def test_serving_an_onnx_model_imports_no_other_engine_and_no_training_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What measures coverage in the processes of other tests would count as the server's own.
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    command = septet_serve(IRIS, python=("-X", "importtime"))
    with ServerProcess(command, tmp_path / "log") as server:
        server.prediction("/predict", {"data": [[5.1, 3.5, 1.4, 0.2]]})
        found = imported(server.log)
    assert "onnxruntime" in found
    assert sorted(roots(found) & UNWANTED) == []
    assert sorted(found & UNWANTED_PARTS) == []
    assert not [module for module in found if module.startswith(UNUSED)]


def needed(distribution: str) -> set[str]:
    """The distributions that an installed one needs without extras, itself included."""
    found: set[str] = set()
    unseen = [canonicalize_name(distribution)]
    while unseen:
        name = unseen.pop()
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted = canonicalize_name(requirement.name)
                unseen += [] if wanted in found else [wanted]
    return found


def test_the_core_installs_at_most_eleven_packages() -> None:
    names = sorted(needed("septet"))
    assert "onnxruntime" in names
    assert len(names) <= CORE_PACKAGES, names
