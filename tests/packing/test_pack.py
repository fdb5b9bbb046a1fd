"""`pack` makes a package of a model file as it is; `prepare` carries a trainer's own code into one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.errors import LabelsMismatch, PackageInvalid, UnsupportedModel, Untrusted
from septet.model.golden import mismatches
from septet.packing.packaging import pack
from septet.preprocessing.preprocessed_runtime import PreprocessedRuntime
from septet.preprocessing.preprocessing_step import PreprocessingStep, read_preprocessing_code
from septet.runtimes.base import InputRejected, LoadOptions
from septet.runtimes.engine_table import load
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("sklearn.datasets")
joblib = pytest.importorskip("joblib")
pytest.importorskip("skl2onnx")

from sklearn.linear_model import LogisticRegression  # noqa: E402

MATRIX, CLASSES = datasets.load_iris(return_X_y=True)
NAMES = ["setosa", "versicolor", "virginica"]


def fitted(rows: Any = MATRIX) -> Any:
    return LogisticRegression(max_iter=500).fit(rows, CLASSES)


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    saved = save(fitted(), tmp_path / "source", data=MATRIX)
    file = tmp_path / "bare" / "iris.onnx"
    file.parent.mkdir()
    file.write_bytes(saved.package.artefact.read_bytes())
    return file


def test_a_file_is_packed_as_it_is_with_one_made_up_golden_row(onnx_file: Path, tmp_path: Path) -> None:
    package = pack(onnx_file, tmp_path / "out").package
    assert (package.manifest.name, package.manifest.artefact) == ("iris", "iris.onnx")
    assert package.artefact.read_bytes() == onnx_file.read_bytes()
    assert package.golden is not None
    assert len(package.golden.request["input"]) == 1
    assert package.profile is None


def test_data_gives_golden_rows_and_a_profile(onnx_file: Path, tmp_path: Path) -> None:
    package = pack(onnx_file, tmp_path / "out", data=MATRIX, target=CLASSES).package
    assert package.golden is not None
    assert len(package.golden.request["input"]) == 10
    assert mismatches(package.golden, load("onnx", package.artefact, LoadOptions()).run(package.golden.request)) == ()
    assert package.profile is not None
    assert package.manifest.training.data.rows == 150


def test_a_label_file_beside_the_model_is_used_and_must_fit(onnx_file: Path, tmp_path: Path) -> None:
    beside = onnx_file.parent / "label.json"
    beside.write_text(json.dumps(NAMES))
    assert pack(onnx_file, tmp_path / "out").package.manifest.signature.labels == tuple(NAMES)
    beside.write_text(json.dumps(NAMES[:2]))
    with pytest.raises(LabelsMismatch):
        pack(onnx_file, tmp_path / "other")


def test_a_pickle_is_packed_only_with_trust(tmp_path: Path) -> None:
    file = tmp_path / "iris.joblib"
    joblib.dump(fitted(), file)
    with pytest.raises(Untrusted) as refusal:
        pack(file, tmp_path / "out")
    digest = refusal.value.message.rsplit(" ", 1)[-1]
    assert pack(file, tmp_path / "out", trust=[digest]).trust == (digest,)


def test_a_file_that_no_runtime_reads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"1")
    with pytest.raises(UnsupportedModel):
        pack(tmp_path / "model.bin", tmp_path / "out")


def test_preprocessing_code_is_not_packed_beside_a_bare_file(onnx_file: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"septet\.save"):
        pack(onnx_file, tmp_path / "out", prepare=tmp_path / "prepare.py")


PREPARE = """
import numpy as np

def prepare(columns):
    if (columns["length"] < 0).any():
        raise ValueError("a length is negative")
    return {"input": np.stack([columns["length"] * 2, columns["width"]], axis=1)}
"""
FINISH = """
def finish(outputs):
    return {"score": outputs["probabilities"].max(axis=1)}
"""
RAW = pd.DataFrame({"length": MATRIX[:, 0] / 2, "width": MATRIX[:, 1], "colour": ["red", "blue"] * 75})


def prepared(folder: Path, code: str) -> PreprocessedRuntime:
    source = folder / "own.py"
    source.write_text(code)
    saved = save(fitted(MATRIX[:, :2]), folder / "out", data=RAW, target=CLASSES, prepare=source)
    manifest = saved.package.manifest
    assert manifest.prepare == "prepare.py"
    with pytest.raises(Untrusted, match="Python code"):
        read_preprocessing_code(folder / "out" / "prepare.py", LoadOptions())
    trusted = read_preprocessing_code(folder / "out" / "prepare.py", LoadOptions(trust=saved.trust))
    runtime = load(manifest.runtime, saved.package.artefact, LoadOptions())
    assert saved.package.golden is not None
    assert trusted.digest == f"sha256:{manifest.files['prepare.py']}"
    step = PreprocessingStep(trusted, manifest.signature.inputs, runtime.signature)
    served = PreprocessedRuntime(runtime, step, manifest.signature)
    assert mismatches(saved.package.golden, served.run(saved.package.golden.request)) == ()
    return served


def raw_tensors() -> dict[str, Any]:
    return {name: RAW[name].to_numpy(dtype=object if name == "colour" else float).reshape(-1, 1) for name in RAW}


def test_with_preprocessing_the_signature_names_the_raw_columns(tmp_path: Path) -> None:
    served = prepared(tmp_path, PREPARE)
    assert [(column.name, column.dtype) for column in served.signature.columns] == [
        ("length", "float64"),
        ("width", "float64"),
        ("colour", "string"),
    ]
    native = fitted(MATRIX[:, :2]).predict_proba(MATRIX[:, :2])
    np.testing.assert_allclose(served.run(raw_tensors())["probabilities"], native, atol=1e-5)


def test_preprocessing_that_writes_into_its_columns_writes_into_no_tensor(tmp_path: Path) -> None:
    writing = "    columns['length'] *= 1.0\n    columns['width'] += 0\n    return"
    served = prepared(tmp_path, PREPARE.replace("    return", writing))
    tensors = raw_tensors()
    for array in tensors.values():
        array.setflags(write=False)
    native = fitted(MATRIX[:, :2]).predict_proba(MATRIX[:, :2])
    np.testing.assert_allclose(served.run(tensors)["probabilities"], native, atol=1e-5)


def test_postprocessing_decides_the_outputs(tmp_path: Path) -> None:
    served = prepared(tmp_path, PREPARE + FINISH)
    assert [(tensor.name, tensor.shape) for tensor in served.signature.outputs] == [("score", (None,))]
    assert (served.signature.label, served.signature.scores) == (None, None)
    native = fitted(MATRIX[:, :2]).predict_proba(MATRIX[:, :2]).max(axis=1)
    np.testing.assert_allclose(served.run(raw_tensors(), ["score"])["score"], native, atol=1e-5)


def test_a_value_that_preprocessing_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    served = prepared(tmp_path, PREPARE)
    with pytest.raises(InputRejected, match="negative"):
        served.run(raw_tensors() | {"length": np.full((150, 1), -1.0)})


def test_code_that_changes_while_it_is_saved_is_packed_as_it_ran(tmp_path: Path) -> None:
    prepared(tmp_path, PREPARE + "\nwith open(__file__, 'a') as file:\n    file.write('# later')\n")
    # In its own text, and where the package's code ran once more.
    assert (tmp_path / "out" / "prepare.py").read_text().count("# later") == 2


def test_code_without_a_function_prepare_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "own.py"
    source.write_text("x = 1\n")
    with pytest.raises(PackageInvalid, match="no function prepare"):
        save(fitted(), tmp_path / "out", data=MATRIX, prepare=source)
