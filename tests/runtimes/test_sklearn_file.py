"""Native files: read only where they are trusted, and refused in plain words otherwise."""

import hashlib
import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.errors import (
    DamagedModel,
    ModelNotFound,
    SettingsInvalid,
    UnsupportedModel,
    Untrusted,
    VersionsMismatch,
)
from septet.runtimes.base import LoadOptions
from septet.runtimes.sklearn.sklearn_file import MOST_SCHEMA_BYTES, MOST_UNPACKED_BYTES
from septet.runtimes.sklearn.sklearn_runtime import load

joblib = pytest.importorskip("joblib")
skops_io = pytest.importorskip("skops.io")

from sklearn.linear_model import LinearRegression  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402

ROWS = np.arange(8.0).reshape(4, 2)


def fitted() -> Any:
    return LinearRegression().fit(ROWS, ROWS[:, 0])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trusting(path: Path) -> LoadOptions:
    return LoadOptions(trust=(digest(path),))


@pytest.fixture
def skops_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.skops"
    skops_io.dump(fitted(), path)
    return path


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    path = tmp_path / "model.joblib"
    joblib.dump(fitted(), path)
    return path


def test_a_skops_file_of_known_types_needs_no_trust(skops_file: Path) -> None:
    assert load(skops_file, LoadOptions()).run({"input": ROWS[:1]})["prediction"].shape == (1,)


def test_a_skops_file_with_other_types_names_them_and_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops_io.dump(FunctionTransformer(np.fft.fft).fit(ROWS), path)
    with pytest.raises(Untrusted, match=re.escape(f"--trust sha256:{digest(path)}")) as refusal:
        load(path, LoadOptions())
    assert "fft" in refusal.value.message


def test_a_pickle_is_refused_with_the_flag_that_trusts_it(pickled: Path) -> None:
    with pytest.raises(Untrusted, match=re.escape(f"--trust sha256:{digest(pickled)}")):
        load(pickled, LoadOptions())


@pytest.mark.parametrize("form", ["{}", "sha256:{}", "{:.12}", "sha256:{:.12}"])
def test_a_digest_is_taken_in_full_or_in_part(pickled: Path, form: str) -> None:
    load(pickled, LoadOptions(trust=("0" * 64, form.format(digest(pickled)))))


def test_another_files_digest_trusts_nothing(pickled: Path) -> None:
    with pytest.raises(Untrusted, match="not this file's"):
        load(pickled, LoadOptions(trust=("0" * 64,)))


@pytest.mark.parametrize("entry", ["", "abc", "model.joblib", "*"])
def test_what_is_no_digest_is_refused(pickled: Path, entry: str) -> None:
    with pytest.raises(SettingsInvalid, match="not a digest"):
        load(pickled, LoadOptions(trust=(entry,)))


def test_a_plain_pickle_is_read_like_a_joblib_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(fitted()))
    load(path, trusting(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"nothing\.skops does not exist"):
        load(tmp_path / "nothing.skops", LoadOptions())


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    (tmp_path / "model.skops").mkdir()
    with pytest.raises(DamagedModel, match="cannot be read"):
        load(tmp_path / "model.skops", LoadOptions())


@pytest.mark.parametrize("name", ["model.skops", "model.pkl"])
def test_an_empty_file_is_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DamagedModel, match="empty"):
        load(tmp_path / name, LoadOptions())


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["skops_file", "pickled"])
def test_a_truncated_file_is_damaged(request: pytest.FixtureRequest, kind: str, kept: float) -> None:
    path: Path = request.getfixturevalue(kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DamagedModel):
        load(path, trusting(path))


def test_a_zip_file_without_a_model_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a model")
    with pytest.raises(DamagedModel):
        load(path, LoadOptions())


def test_something_else_than_an_estimator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"weights": [1, 2]}))
    with pytest.raises(UnsupportedModel, match=r"builtins\.dict"):
        load(path, trusting(path))


def test_a_model_of_another_version_says_which_trained_it_and_which_is_here(tmp_path: Path) -> None:
    import sklearn

    path = tmp_path / "model.pkl"
    model = fitted()
    state = model.__getstate__() | {"_sklearn_version": "0.9"}
    buffer = io.BytesIO()
    _Forged(buffer, model, state).dump(model)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(VersionsMismatch, match=rf"scikit-learn 0\.9, and {re.escape(sklearn.__version__)}"):
        load(path, trusting(path))


class _Forged(pickle.Pickler):
    """Writes one object with another state, as another version of its library would have."""

    def __init__(self, buffer: io.BytesIO, model: Any, state: dict[str, Any]) -> None:
        super().__init__(buffer)
        self._model = model
        self._state = state

    def reducer_override(self, obj: Any) -> Any:
        if obj is self._model:
            return (type(obj), (), self._state)
        return NotImplemented


@pytest.mark.parametrize(
    ("source", "told"),
    [(b"cnot_installed_anywhere\nModel\n.", "not_installed_anywhere"), (b"csklearn.linear_model\nGone\n.", "Gone")],
)
def test_a_module_or_class_that_is_not_here_is_named(tmp_path: Path, source: bytes, told: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(source)
    with pytest.raises(VersionsMismatch, match=told):
        load(path, trusting(path))


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    """A compressed archive under the name of a skops file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_not_unpacked(tmp_path: Path) -> None:
    zeros = bytes(MOST_UNPACKED_BYTES // 4)
    path = archive(tmp_path / "bomb.skops", {"schema.json": b"{}"} | {f"{at}.npy": zeros for at in range(5)})
    assert path.stat().st_size < MOST_UNPACKED_BYTES // 100
    with pytest.raises(DamagedModel, match=f"has {5 * len(zeros) + 2} bytes when it is unpacked"):
        load(path, LoadOptions())


def test_a_schema_that_unpacks_to_far_more_than_it_is_is_not_parsed(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.skops", {"schema.json": b" " * (MOST_SCHEMA_BYTES + 1)})
    with pytest.raises(DamagedModel, match=r"bytes in its schema\.json"):
        load(path, LoadOptions())


def test_a_compressed_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops_io.dump(fitted(), path, compression=zipfile.ZIP_DEFLATED)
    assert load(path, LoadOptions()).signature.inputs
