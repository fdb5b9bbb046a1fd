"""The file of jobs, and what lies beside it, deleted or replaced while it is in use: nothing is lost in silence."""

import shutil
from pathlib import Path

import apsw
import pytest

from septet.errors import StartupError
from septet.queues.job import Job
from septet.queues.job_store import StoreFailed
from septet.queues.sqlite_store import SqliteStore
from tests.queues.samples import NOW, a_job, accept


def test_nothing_is_acknowledged_into_a_file_that_was_deleted(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    store = SqliteStore(file)
    accept(store, a_job())
    file.unlink()
    for _ in range(2):
        with pytest.raises(StoreFailed, match="it was deleted while it was in use"):
            store.accept([a_job()], NOW)
    with pytest.raises(StartupError, match="put it back, or, for an empty one, delete FILE-wal"):
        SqliteStore(file)
    assert not file.exists()  # an empty one in its place would hide the loss
    for name in ("-wal", "-shm"):
        Path(f"{file}{name}").unlink()
    SqliteStore(file).close()
    accept(store, a_job())
    store.close()


def test_a_file_that_is_deleted_during_a_step_is_noticed_before_the_step_is_told(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    store = SqliteStore(file)
    with pytest.raises(StoreFailed, match="deleted"), store._database.writing():
        file.unlink()
    store.close()


def test_a_file_that_is_put_back_is_used_again_with_all_that_it_held(tmp_path: Path) -> None:
    file, away = tmp_path / "jobs.db", tmp_path / "away.db"
    store = SqliteStore(file)
    (kept,) = accept(store, a_job())
    file.rename(away)
    with pytest.raises(StoreFailed, match="put it back"):
        store.find([kept])
    away.rename(file)
    (later,) = accept(store, a_job())
    assert all(isinstance(each, Job) for each in store.find([kept, later]))
    store.close()


def test_a_copy_that_takes_its_place_with_its_log_is_used_from_the_next_step_on(tmp_path: Path) -> None:
    file, copy = tmp_path / "jobs.db", tmp_path / "copy.db"
    store = SqliteStore(file)
    (kept,) = accept(store, a_job())
    source, target = apsw.Connection(str(file)), apsw.Connection(str(copy))
    with target.backup("main", source, "main") as backup:
        backup.step()
    source.close()
    target.close()
    accept(store, a_job())
    for name in ("-wal", "-shm"):
        Path(f"{file}{name}").rename(tmp_path / f"old{name}")
    copy.rename(file)
    with pytest.raises(StoreFailed, match="replaced by another file"):
        store.accept([a_job()], NOW)
    accept(store, a_job())
    assert isinstance(store.find([kept])[0], Job)
    store.close()


def test_a_copy_beside_the_log_of_another_file_is_not_opened(tmp_path: Path) -> None:
    file, copy = tmp_path / "jobs.db", tmp_path / "copy.db"
    SqliteStore(file).close()
    shutil.copy(file, copy)
    store = SqliteStore(file)
    accept(store, a_job())
    copy.rename(file)
    with pytest.raises(StoreFailed, match="replaced"):
        store.accept([a_job()], NOW)
    with pytest.raises(StoreFailed, match="FILE-wal and FILE-shm"):
        store.accept([a_job()], NOW)
    for name in ("-wal", "-shm"):
        Path(f"{file}{name}").unlink()
    accept(store, a_job())
    store.close()


@pytest.mark.parametrize("name", ["-wal", "-shm"])
def test_without_its_log_nothing_is_acknowledged_and_nothing_is_lost_once_all_have_stopped(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.db"
    store = SqliteStore(file)
    (kept,) = accept(store, a_job())
    Path(f"{file}{name}").unlink()
    for _ in range(2):
        with pytest.raises(StoreFailed, match="its log"):
            store.accept([a_job()], NOW)
    store.close()
    again = SqliteStore(file)
    assert isinstance(again.find([kept])[0], Job)
    again.close()
