"""`septet batch` as a user calls it: whole tables, in every format, killed and started again, with bad rows."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
LABELS = {"setosa", "versicolor", "virginica"}
ANSWERS = ["label", "score_setosa", "score_versicolor", "score_virginica"]
PROVENANCE = ["model", "model_version", "model_digest", "run"]


def flowers(rows: int, **more: Sequence[Any]) -> pa.Table:
    values = np.random.default_rng(0).uniform(0.1, 7, (4, rows)).round(2).astype(np.float32)
    return pa.table({"id": pa.array(range(rows)), **dict(zip(COLUMNS, map(pa.array, values), strict=True)), **more})


def command(*arguments: str | Path, ledger: Path) -> list[str]:
    return [sys.executable, "-m", "septet", "batch", str(IRIS), *map(str, arguments), "--ledger", str(ledger)]


def batch(*arguments: str | Path, ledger: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*arguments, ledger=ledger), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(septet_serve(IRIS), tmp_path_factory.mktemp("server") / "log") as server:
        yield server


def test_each_row_has_the_answer_that_the_server_gives(tmp_path: Path, ledger: Path, server: ServerProcess) -> None:
    table = flowers(500)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    done = batch(tmp_path / "rows.parquet", tmp_path / "answers.parquet", "--keep", "id", ledger=ledger)
    assert "500 rows in" in done.stdout
    found = pq.read_table(tmp_path / "answers.parquet")
    assert found.column_names == ["id", *ANSWERS, *PROVENANCE]
    assert found.column("id").to_pylist() == list(range(500))
    rows = table.select(COLUMNS).to_pylist()
    for at in range(0, 500, 50):
        answer = server.post("/predict", {"records": [rows[at]]}).json()
        assert [found.column(name)[at].as_py() for name in ANSWERS[1:]] == answer["prediction"][0]
        assert found.column("label")[at].as_py() == server.prediction("/predict/label", {"records": [rows[at]]})[0]
        assert found.column("model_digest")[at].as_py() == answer["model"]["digest"]


@pytest.mark.parametrize("source", ["rows.csv", "rows.jsonl", "rows.feather", "rows.csv.zst", "rows.jsonl.gz"])
def test_every_format_has_the_same_answers(source: str, tmp_path: Path, ledger: Path) -> None:
    from septet.tables.file_formats import file_format

    table = flowers(300)
    pq.write_table(table, tmp_path / "rows.parquet")
    writer = file_format(tmp_path / source).write(tmp_path / source, table.schema)
    writer.write(table)
    writer.close()
    for name in ("rows.parquet", source):
        batch(tmp_path / name, tmp_path / f"{name}.out.csv", "--keep", "id", "--no-provenance", ledger=ledger)
    assert (tmp_path / f"{source}.out.csv").read_text() == (tmp_path / "rows.parquet.out.csv").read_text()


def staged(folder: Path) -> list[Path]:
    return [*folder.glob(".killed.csv.septet-*/part-*")]


def test_a_run_that_is_killed_goes_on_and_writes_the_very_same(tmp_path: Path, ledger: Path) -> None:
    pq.write_table(flowers(20_000), tmp_path / "rows.parquet", row_group_size=1000)
    options = ("--keep", "id", "--no-provenance", "--unit-rows", "1000", "--workers", "2")
    whole = tmp_path / "whole.csv"
    batch(tmp_path / "rows.parquet", whole, *options, ledger=ledger)
    target = tmp_path / "killed.csv"
    for _ in range(3):
        started = subprocess.Popen(command(tmp_path / "rows.parquet", target, *options, ledger=ledger))
        before = len(staged(tmp_path))
        until(lambda: len(staged(tmp_path)) > before or started.poll() is not None)  # noqa: B023
        started.kill()
        started.wait()
    done = batch(tmp_path / "rows.parquet", target, *options, ledger=ledger)
    assert "succeeded" in done.stdout
    assert target.read_bytes() == whole.read_bytes()
    assert not staged(tmp_path)


def test_bad_rows_are_told_and_the_others_answered(tmp_path: Path, ledger: Path) -> None:
    lines = [
        "id," + ",".join(COLUMNS),
        "a,5.1,3.5,1.4,0.2",
        "b,5.1,none at all,1.4,0.2",
        "c,1,2",
        "d,5.1,,1.4,0.2",
        "e,6,3,5,2",
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    batch(tmp_path / "rows.csv", tmp_path / "answers.csv", "--keep", "id", ledger=ledger, code=3)
    assert [line.split(",")[0] for line in (tmp_path / "answers.csv").read_text().splitlines()] == ["id", "a", "e"]
    errors = [json.loads(line) for line in (tmp_path / "answers.errors.jsonl").read_text().splitlines()]
    assert [(each["row"], each["column"]) for each in errors] == [(1, COLUMNS[1]), (2, None), (3, COLUMNS[1])]
    assert errors[0]["received"] == '"none at all"'
    assert json.loads(errors[0]["keys"]) == {"id": "b"}


def test_what_does_not_fit_is_told_before_anything_is_written(tmp_path: Path, ledger: Path) -> None:
    table = flowers(10)
    renamed = table.rename_columns(["id", "sepal_length", *COLUMNS[1:]])
    pq.write_table(renamed, tmp_path / "renamed.parquet")
    done = batch(tmp_path / "renamed.parquet", tmp_path / "out.parquet", ledger=ledger, code=2)
    assert "--rename 'sepal length (cm)=sepal_length'" in done.stderr
    batch(
        tmp_path / "renamed.parquet", tmp_path / "out.parquet", "--rename", f"{COLUMNS[0]}=sepal_length", ledger=ledger
    )
    pq.write_table(table.set_column(1, COLUMNS[0], pa.array(["a"] * 10)), tmp_path / "typed.parquet")
    done = batch(tmp_path / "typed.parquet", tmp_path / "typed.out.parquet", ledger=ledger, code=2)
    assert "the type string" in done.stderr
    assert not (tmp_path / "typed.out.parquet").exists()


def test_the_same_command_again_does_nothing_again(tmp_path: Path, ledger: Path) -> None:
    pq.write_table(flowers(10), tmp_path / "rows.parquet")
    for _ in range(2):
        batch(tmp_path / "rows.parquet", tmp_path / "out.parquet", ledger=ledger)
    first = (tmp_path / "out.parquet").stat()
    pq.write_table(flowers(11), tmp_path / "rows.parquet")
    done = batch(tmp_path / "rows.parquet", tmp_path / "out.parquet", ledger=ledger, code=2)
    assert "--overwrite" in done.stderr
    assert (tmp_path / "out.parquet").stat() == first
    batch(tmp_path / "rows.parquet", tmp_path / "out.parquet", "--overwrite", ledger=ledger)
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 11


def test_folders_are_read_with_their_partitions_and_written_as_parts(tmp_path: Path, ledger: Path) -> None:
    for country, year, start in (("DE", 2025, 0), ("DE", 2026, 10), ("JP", 2026, 20)):
        folder = tmp_path / "rows" / f"country={country}" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(flowers(30).slice(start, 10), folder / "a.parquet")
    target = f"{tmp_path}/answers/"
    options = ("--keep", "id", "--keep", "country", "--keep", "year=y", "--unit-rows", "10")
    batch(tmp_path / "rows", target, *options, ledger=ledger)
    found = pq.read_table(target)
    assert found.column("id").to_pylist() == list(range(30))
    assert set(found.column("country").to_pylist()) == {"DE", "JP"}
    assert found.column("y").to_pylist() == [2025] * 10 + [2026] * 20
    manifest = json.loads(Path(target, "_septet.json").read_bytes())
    assert (manifest["rows"], len(manifest["parts"])) == (30, 3)


def test_two_runs_do_not_write_to_one_target(tmp_path: Path, ledger: Path) -> None:
    pq.write_table(flowers(50_000), tmp_path / "rows.parquet", row_group_size=500)
    options = (tmp_path / "rows.parquet", tmp_path / "out.csv", "--unit-rows", "500", "--workers", "1")
    first = subprocess.Popen(command(*options, ledger=ledger))
    try:
        until(lambda: [*tmp_path.glob(".out.csv.septet-*")])
        os.kill(first.pid, signal.SIGSTOP)
        done = batch(*options, ledger=ledger, code=2)
        assert "another run writes to" in done.stderr
    finally:
        os.kill(first.pid, signal.SIGCONT)
        first.kill()
        first.wait()


def test_the_ledger_lists_runs_and_forgets_old_ones(tmp_path: Path, ledger: Path) -> None:
    pq.write_table(flowers(10), tmp_path / "rows.parquet")
    batch(tmp_path / "rows.parquet", tmp_path / "out.parquet", ledger=ledger)

    def runs(*arguments: str) -> str:
        line = [sys.executable, "-m", "septet", "runs", *arguments, "--ledger", str(ledger)]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout

    (found,) = json.loads(runs("list", "--json"))
    assert (found["status"], found["rows"], found["bad_rows"]) == ("succeeded", 10, 0)
    assert json.loads(runs("show", found["id"][:10]))["plan"]["units"]
    assert time.strftime("%Y-", time.gmtime()) in found["started_at"]
    assert runs("prune", "--older-than", "0") == "1 runs forgotten\n"
    assert json.loads(runs("list", "--json")) == []
