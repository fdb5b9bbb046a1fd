"""The commands on real models: a file of ONNX, a package made of it, and a pickle that nobody trusts."""

import datetime as dt
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.cli.main import main
from septet.model.septet_toml import manifest_from_toml, manifest_to_toml
from tests.runtimes import onnx_models

ROWS = "x_0,x_1\n0.25,0.75\n1.5,0.5\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that answers its two columns as the scores of two labels."""
    (tmp_path / "label.json").write_text('["low", "high"]')
    return onnx_models.saved(tmp_path, onnx_models.identity())


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


class Typed:
    """What a person types, and what comes back."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: object) -> int:
        code = main([str(word) for word in words])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: object) -> Any:
        self(*words, "--json")
        return json.loads(self.out)

    def states(self, *words: object) -> dict[str, str]:
        return {check["check"]: check["state"] for check in self.json("check", *words)["checks"]}


@pytest.fixture
def septet(capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(capsys)


@pytest.fixture
def package(model: Path, rows: Path, tmp_path: Path, septet: Typed) -> Path:
    """A package whose data ends today."""
    until = dt.datetime.now(dt.UTC).date()
    words = ("--data", rows, "--data-since", "2026-01-01", "--data-until", until, "--metric", "accuracy=0.5")
    assert septet("pack", model, "--out", tmp_path / "p", "--name", "flow", "--version", "7", *words) == 0
    return tmp_path / "p"


def aged(package: Path, days: int) -> Path:
    """Let the package's data end so many days ago."""
    path = package / "septet.toml"
    values = path.read_text().splitlines()
    until = dt.datetime.now(dt.UTC).date() - dt.timedelta(days)
    path.write_text("\n".join(f"until = {until}" if line.startswith("until") else line for line in values) + "\n")
    return package


# inspect


def test_a_file_is_shown_with_its_inputs_labels_and_digest(model: Path, septet: Typed) -> None:
    assert septet("inspect", model) == 0
    for part in ("classification", "float32 [any, 2]", "x_0", "0  low", "1  high", "sha256:", "not needed"):
        assert part in septet.out


def test_a_package_is_shown_with_its_provenance(package: Path, septet: Typed) -> None:
    assert septet("inspect", package) == 0
    for part in ("flow", "golden rows  2", "2026-01-01 to ", "accuracy 0.5", "golden.json", "profile.json"):
        assert part in septet.out


def test_a_description_in_json_names_the_same(package: Path, septet: Typed) -> None:
    shown = septet.json("inspect", package)
    assert (shown["name"], shown["version"], shown["package"], shown["golden_rows"]) == ("flow", "7", True, 2)
    assert shown["signature"]["labels"] == ["low", "high"]
    assert shown["freshness"]["state"] == "fresh"
    assert shown["trust"] == []


class Trap:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    return path


@pytest.mark.parametrize("command", ["inspect", "check"])
def test_code_that_is_not_trusted_is_not_run(command: str, trap: Path, septet: Typed) -> None:
    assert septet(command, trap) == (0 if command == "inspect" else 1)
    assert "--trust sha256:" in septet.out
    assert not (trap.parent / "sprung").exists()


@pytest.mark.parametrize("command", ["inspect", "predict", "serve"])
def test_a_path_with_nothing_there_is_one_message(command: str, septet: Typed) -> None:
    more = ("--data", "-") if command == "predict" else ("--port", "0") if command == "serve" else ()
    assert septet(command, "nothing.onnx", *more) == 2
    assert septet.err.startswith("error: nothing.onnx: ")
    assert "Traceback" not in septet.err


# check


def test_a_sound_package_passes(package: Path, septet: Typed) -> None:
    assert septet("check", package) == 0
    assert set(septet.states(package).values()) == {"ok"}


def test_a_sound_file_passes_though_less_is_known(model: Path, septet: Typed) -> None:
    assert septet("check", model) == 0
    states = septet.states(model)
    assert states["loads"] == states["labels"] == states["digests"] == "ok"
    assert states["golden rows"] == states["freshness"] == "skip"


@pytest.mark.parametrize(("days", "state"), [(31, "ok"), (40, "warn"), (91, "fail")])
def test_old_data_fails_unless_it_is_accepted(days: int, state: str, package: Path, septet: Typed) -> None:
    aged(package, days)
    assert septet.states(package)["freshness"] == state
    assert septet("check", package) == (0 if state == "ok" else 1)
    assert septet("check", package, "--allow-stale") == 0


def test_a_changed_file_fails_by_its_digest(package: Path, septet: Typed) -> None:
    (package / "model.onnx").write_bytes(b"changed")
    assert septet("check", package) == 1
    assert "FAIL  digests" in septet.out
    assert septet.states(package)["loads"] == "skip"


def test_a_package_without_a_manifest_fails_by_it(package: Path, septet: Typed) -> None:
    (package / "septet.toml").unlink()
    assert septet("check", package) == 1
    assert "FAIL  manifest" in septet.out


def test_a_manifest_that_contradicts_its_model_fails(package: Path, septet: Typed) -> None:
    manifest = package / "septet.toml"
    text = manifest.read_text()
    assert text.count('dtype = "float32"\nshape = [-1, ') > 1
    manifest.write_text(text.replace('dtype = "float32"\nshape = [-1, ', 'dtype = "float64"\nshape = [-1, '))
    assert septet("check", package) == 1
    assert "FAIL  manifest" in septet.out


def test_labels_that_do_not_fit_fail_by_themselves(model: Path, septet: Typed) -> None:
    (model.parent / "label.json").write_text('["one", "two", "three"]')
    assert septet("check", model) == 1
    assert "FAIL  labels" in septet.out


def test_answers_that_changed_fail_by_the_golden_rows(package: Path, septet: Typed) -> None:
    other = onnx_models.model(
        [onnx_models.node("Neg", ["x"], ["y"])],
        [onnx_models.info("x", onnx_models.FLOAT, ("rows", 2))],
        [onnx_models.info("y", onnx_models.FLOAT, ("rows", 2))],
    )
    from septet.model.digest import file_digest

    onnx_models.saved(package, other)
    manifest = manifest_from_toml((package / "septet.toml").read_bytes(), "manifest")
    manifest.files["model.onnx"] = file_digest(package / "model.onnx")
    (package / "septet.toml").write_text(manifest_to_toml(manifest))
    assert septet("check", package) == 1
    assert "FAIL  golden rows" in septet.out


# predict


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "[0.25,0.75]\n[1.5,0.5]\n"),
        (("--label",), '"high"\n"low"\n'),
        (("--format", "csv"), "low,high\n0.25,0.75\n1.5,0.5\n"),
        (("--format", "csv", "--label"), "prediction\nhigh\nlow\n"),
    ],
)
def test_rows_of_a_file_are_answered_in_order(
    words: tuple[str, ...], text: str, package: Path, rows: Path, septet: Typed
) -> None:
    assert septet("predict", package, "--data", rows, *words) == 0
    assert septet.out == text


def test_json_names_the_model(package: Path, rows: Path, septet: Typed) -> None:
    septet("predict", package, "--data", rows, "--format", "json")
    answer = json.loads(septet.out)
    assert answer["model"]["name"] == "flow"
    assert answer["prediction"] == [[0.25, 0.75], [1.5, 0.5]]


def test_rows_come_from_standard_input_too(model: Path, septet: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[[0.25, 0.75]]")))
    assert septet("predict", model, "--data", "-") == 0
    assert septet.out == "[0.25,0.75]\n"


def test_a_bad_cell_is_named_by_row_and_column(model: Path, rows: Path, septet: Typed) -> None:
    rows.write_text("x_0,x_1\n1,2\n1,two\n")
    assert septet("predict", model, "--data", rows) == 2
    assert "row 1, column 'x_1'" in septet.err


def test_labels_asked_of_a_model_without_are_refused(model: Path, rows: Path, septet: Typed) -> None:
    assert septet("predict", model, "--data", rows, "--label", "--labels", "none") == 2
    assert "labels" in septet.err


def test_missing_data_is_refused(model: Path, septet: Typed) -> None:
    assert septet("predict", model, "--data", "rows.csv") == 2
    assert "rows.csv: there is no such file" in septet.err


# pack


def test_a_package_says_what_to_do_next(model: Path, tmp_path: Path, septet: Typed) -> None:
    assert septet("pack", model, "--out", tmp_path / "p") == 0
    assert septet.out.splitlines()[-1] == f"next: septet serve {tmp_path / 'p'}"
    assert septet("check", tmp_path / "p") == 0


def test_a_package_is_replaced_only_when_told(package: Path, model: Path, septet: Typed) -> None:
    assert septet("pack", model, "--out", package) == 2
    assert "--replace" in septet.err
    assert septet("pack", model, "--out", package, "--replace") == 0


def test_the_target_is_taken_out_of_the_rows(model: Path, rows: Path, tmp_path: Path, septet: Typed) -> None:
    rows.write_text("kind,x_0,x_1\nhigh,0.25,0.75\nlow,1.5,0.5\n")
    words = ("--data", rows, "--target", "kind", "--dataset", "flows", "--owner", "me", "--description", "Flows")
    assert septet("pack", model, "--out", tmp_path / "p", *words, "--valid-for-days", "10") == 0
    shown = septet.json("inspect", tmp_path / "p")
    assert shown["training"]["data"]["rows"] == 2
    assert (shown["description"], shown["training"]["owner"], shown["valid_for_days"]) == ("Flows", "me", 10)


def test_rows_may_come_as_an_array(model: Path, tmp_path: Path, septet: Typed) -> None:
    np.save(tmp_path / "rows.npy", np.ones((4, 2)))
    assert septet("pack", model, "--out", tmp_path / "p", "--data", tmp_path / "rows.npy", "--nullable") == 0
    shown = septet.json("inspect", tmp_path / "p")
    assert shown["golden_rows"] == 4
    assert all(column["nullable"] for column in shown["signature"]["inputs"][0]["columns"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--target", "kind"), "--data"),
        (("--data", "{rows}", "--target", "kind"), "columns named 'kind'"),
        (("--data", "none.csv"), "none.csv: there is no such file"),
        (("--data-until", "today"), "'today' is not a date"),
        (("--metric", "good"), "write it as accuracy=0.93"),
        (("--valid-for-days", "0"), "from 1 to 36500"),
    ],
)
def test_what_cannot_be_packed_is_refused(
    words: tuple[str, ...], named: str, model: Path, rows: Path, tmp_path: Path, septet: Typed
) -> None:
    assert septet("pack", model, "--out", tmp_path / "p", *(word.format(rows=rows) for word in words)) == 2
    assert named in septet.err
    assert not (tmp_path / "p").exists()


def test_a_label_file_is_said_to_be_used_and_can_be_left_out(model: Path, tmp_path: Path, septet: Typed) -> None:
    assert septet("pack", model, "--out", tmp_path / "p") == 0
    assert "labels from label.json beside model.onnx, golden rows from a made-up row" in septet.out
    assert septet("pack", model, "--out", tmp_path / "p", "--replace", "--labels", "none") == 0
    assert "columns from model.onnx, golden rows" in septet.out
    other = model.with_name("label.json").rename(tmp_path / "names.json")
    assert septet("pack", model, "--out", tmp_path / "p", "--replace", "--labels", other) == 0
    assert f"labels from {other}" in septet.out


def test_a_package_that_runs_code_says_what_must_be_trusted(tmp_path: Path, septet: Typed) -> None:
    joblib = pytest.importorskip("joblib")
    linear = pytest.importorskip("sklearn.linear_model")
    from septet.model.digest import file_digest

    path = tmp_path / "line.joblib"
    joblib.dump(linear.LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, 2.0])), path)
    digest = f"sha256:{file_digest(path)}"
    assert septet("pack", path, "--out", tmp_path / "p") == 2
    assert septet("pack", path, "--out", tmp_path / "p", "--trust", digest) == 0
    assert septet.out.splitlines()[-1] == f"next: septet serve {tmp_path / 'p'} --trust {digest}"
    assert septet.json("inspect", tmp_path / "p")["trust"] == [digest]
    assert septet.states(tmp_path / "p", "--trust", digest)["loads"] == "ok"
