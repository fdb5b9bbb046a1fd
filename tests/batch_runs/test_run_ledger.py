"""The ledger: what it says is done is done, by whoever asks."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from septet.batch_runs.batch_run import BatchRun, RunStatus, UnitResult
from septet.batch_runs.run_ledger import RunLedger, ledger_path
from septet.errors import Conflict, NotFound, StartupError
from tests.batch_runs.test_batch_plan import plan

RUN = BatchRun(
    id="ab" * 16,
    key="k",
    trigger="manual",
    model="iris",
    model_version="1",
    model_digest="sha256:00",
    source="rows.csv",
    target="out.csv",
    status=RunStatus.RUNNING,
    started_at=1000.0,
    units=1,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs.db"


def test_a_run_is_found_again_with_its_plan_and_its_units(tmp_path: Path, path: Path) -> None:
    made, result = plan(tmp_path), UnitResult(0, 10, 1, 2, 0.5, {0: 10})
    with RunLedger(path) as ledger:
        ledger.begin(RUN, made)
        ledger.unit_done(msgspec.structs.replace(RUN, units_done=1, rows=10, bad_rows=1), result)
    with RunLedger(path) as ledger:
        found = ledger.latest("k")
        assert found is not None
        assert (found.units_done, found.rows, found.bad_rows) == (1, 10, 1)
        assert ledger.done(RUN.id) == [result]
        assert ledger.plan(RUN.id) == made
        assert ledger.run("abab") == found
        assert ledger.latest("another") is None
        for unknown in ("cd", "", "a*", "'"):
            with pytest.raises(NotFound):
                ledger.run(unknown)


def test_runs_are_listed_and_forgotten(tmp_path: Path, path: Path) -> None:
    made = plan(tmp_path)
    with RunLedger(path) as ledger:
        for at, status in enumerate((RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.RUNNING)):
            ended = None if status is RunStatus.RUNNING else 100.0 * at
            run = msgspec.structs.replace(RUN, id=f"{at}" * 32, status=status, started_at=float(at), ended_at=ended)
            ledger.begin(run, made)
        assert [run.started_at for run in ledger.runs()] == [2.0, 1.0, 0.0]
        assert [run.status for run in ledger.runs(status=RunStatus.FAILED)] == [RunStatus.FAILED]
        assert not ledger.runs(target="elsewhere.csv")
        ledger.begin(msgspec.structs.replace(RUN, id="00" + "1" * 30), made)
        with pytest.raises(NotFound, match="several"):
            ledger.run("0")
        assert ledger.prune(50.0) == 1
        assert ledger.prune(1000.0) == 1
        assert {run.status for run in ledger.runs()} == {RunStatus.RUNNING}


HOLDER = """
import sys
from pathlib import Path
from septet.batch_runs.run_ledger import RunLedger
with RunLedger(Path(sys.argv[1])) as ledger, ledger.lock("/out.csv"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_process_writes_to_a_target_until_it_ends(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            with RunLedger(path) as ledger:
                with pytest.raises(Conflict, match=r"/out\.csv"), ledger.lock("/out.csv"):
                    pass
                with ledger.lock("/other.csv"):
                    pass
                run = msgspec.structs.replace(RUN, target="/out.csv")
                assert ledger.status_now(run) == "running"
                holder.kill()
                holder.wait()
                with ledger.lock("/out.csv"):
                    pass
                assert ledger.status_now(run) == "interrupted"
        finally:
            holder.kill()


def test_a_file_of_something_else_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all, and long enough to be told from an empty one" * 20)
    with pytest.raises(StartupError, match="cannot be opened"):
        RunLedger(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StartupError, match="another version"):
        RunLedger(path)


def test_it_is_in_the_folder_for_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ledger_path(None) == tmp_path / "septet" / "runs.db"
    assert ledger_path("mine.db") == Path("mine.db")
