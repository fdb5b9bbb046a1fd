"""What a trainer says that cannot be so is refused by its argument, before anything is written."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.errors import Invalid, PackageInvalid, SeptetError, UnsupportedModel
from septet.packing.packaging import pack
from tests.packing.saving import save
from tests.runtimes import onnx_models

pd = pytest.importorskip("pandas")
pytest.importorskip("skl2onnx")

from sklearn.linear_model import LinearRegression  # noqa: E402

ROWS = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2})
TARGET = np.arange(20.0)
MODEL = LinearRegression().fit(ROWS, TARGET)

IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"window": ("2026-05-01", "2026-01-01")}, "window: the first day, 2026-05-01, is after the last, 2026-01-01"),
    ({"window": ("yesterday", None)}, "window: 'yesterday' is no day; give a date, a text such as '2026-10-31'"),
    ({"window": "2026-01-01"}, r"window: is '2026-01-01', and \(first day, last day\) is expected"),
    ({"window": ("2026-01-01",)}, r"window: is \('2026-01-01',\)"),
    ({"window": (20260101, None)}, "window: 20260101 is no day"),
    ({"metrics": {"accuracy": "good"}}, "metrics: 'accuracy' is 'good', and a number is expected"),
    ({"metrics": [0.9]}, r"metrics: is \[0.9\], and a mapping by name is expected"),
    ({"valid_for_days": 0}, "valid_for_days: is 0, and a whole number of at least 1 is expected"),
    ({"valid_for_days": -3}, "valid_for_days: is -3"),
    ({"valid_for_days": "3"}, "valid_for_days: is '3'"),
    ({"ranges": {"a": 5}}, r"ranges: 'a' is 5, and \(lowest, highest\) is expected"),
    ({"ranges": {"a": ("low", None)}}, r"ranges: 'a' is \('low', None\)"),
    ({"labels": "ab"}, "labels: is the text 'ab'; give a list"),
    ({"owner": 3}, "owner: is 3, and a text is expected"),
    ({"description": b"x"}, "description: is b'x'"),
    ({"measurement_seconds": "long"}, "measurement_seconds: is 'long'"),
    ({"measurement_seconds": -1}, "measurement_seconds: is -1"),
    ({"name": "../up"}, r"name: is '\.\./up', and letters, digits, dot, dash and underscore"),
    ({"name": ""}, "name: is ''"),
    ({"version": "a b"}, "version: is 'a b', and letters, digits, dot, plus"),
    ({"version": 3}, "version: is 3"),
]


@pytest.mark.parametrize(("said", "message"), IMPOSSIBLE)
def test_what_cannot_be_said_of_a_model_is_refused_by_name(said: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = onnx_models.saved(tmp_path, onnx_models.identity())
    with pytest.raises(PackageInvalid, match=f"^{message}"):
        pack(file, tmp_path / "packed", **said)
    options: dict[str, Any] = {"measurement_seconds": 0.0, **said}
    with pytest.raises(PackageInvalid, match=f"^{message}"):
        save(MODEL, tmp_path / "saved", data=ROWS, target=TARGET, **options)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_days_of_every_kind_and_open_ends_are_a_window(tmp_path: Path) -> None:
    file = onnx_models.saved(tmp_path, onnx_models.identity())
    first, last = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
    windows: list[Any] = [(first, last), ("2026-01-01", "2026-02-01"), (dt.datetime(2026, 1, 1), last)]  # noqa: DTZ001
    for at, window in enumerate(windows):
        data = pack(file, tmp_path / str(at), window=window).package.manifest.training.data
        assert (data.since, data.until) == (first, last)
    data = pack(file, tmp_path / "open", window=(None, last)).package.manifest.training.data
    assert (data.since, data.until) == (None, last)


@pytest.mark.parametrize(
    ("folder", "name"), [("iris", "iris"), ("my model (2)", "my-model-2"), ("größe", "gr-e"), ("___", "model")]
)
def test_a_folder_of_any_name_gives_a_name_that_a_path_can_carry(folder: str, name: str, tmp_path: Path) -> None:
    file = onnx_models.saved(tmp_path, onnx_models.identity())
    file = file.rename(tmp_path / f"{folder}.onnx")
    assert pack(file, tmp_path / "packed").package.manifest.name == name
    assert save(MODEL, tmp_path / folder, data=ROWS).package.manifest.name == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the data is a NoneType of shape"),
        ("rows.csv", "the data is a str of shape"),
        (ROWS.to_numpy()[0], "the data has 1 columns and the model takes 2"),
        (ROWS.to_numpy()[:, :1], "the data has 1 columns and the model takes 2"),
        (ROWS.to_numpy()[:0], "the data has no rows or no columns"),
        (ROWS.rename(columns={"b": "c"}), "it lacks 'b', and has 'c' instead"),
        (ROWS[["a", "a"]], "the data has the column 'a' 2 times"),
        (ROWS.to_numpy().reshape(10, 2, 2), r"the data is a ndarray of shape \[10, 2, 2\]"),
        (ROWS.assign(a=ROWS["a"].where(ROWS["a"] > 2)), "does not take the missing values that the data have in 'a'"),
    ],
)
def test_rows_that_are_not_the_models_are_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=message):
        save(MODEL, tmp_path / "model", data=data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", [TARGET[:5], 3.0])
def test_a_target_of_another_length_is_refused(target: Any, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"the target has (5|no) rows and the data 20"):
        save(MODEL, tmp_path / "model", data=ROWS, target=target)


@pytest.mark.parametrize("model", [LinearRegression(), LinearRegression, {"a": 1}, None])
def test_what_is_no_fitted_model_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel):
        save(model, tmp_path / "model", data=ROWS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_package_is_left_alone(replace: bool, tmp_path: Path) -> None:  # noqa: FBT001 - by pytest
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "keep").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(PackageInvalid, match="is not a Septet package, so it is left alone"):
            save(MODEL, tmp_path / name, data=ROWS, replace=replace)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "keep").read_text() == "mine"
    with pytest.raises(SeptetError, match="the package cannot be written"):
        save(MODEL, tmp_path / "file" / "below", data=ROWS)
