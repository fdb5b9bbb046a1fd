"""The store of jobs in an SQLite file: what it refuses, what it survives, and that several processes may use it."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from septet.errors import StartupError
from septet.queues.job import Job, JobState
from septet.queues.job_store import JobFilter, StoreFailed, StoreLimits
from septet.queues.sqlite_database import refuse_old_library
from septet.queues.sqlite_store import SqliteStore
from tests.queues.samples import NOW, a_job, success
from tests.waiting import until

WRITER = """
import sys
from pathlib import Path
from septet.queues.sqlite_store import SqliteStore
from tests.queues.samples import NOW, a_job, success
store, name = SqliteStore(Path(sys.argv[1])), sys.argv[2]
store.join(name, ["iris"], NOW)
"""
#: Accepts, and tells of what it has accepted, for ever.
ACCEPTING = (
    WRITER
    + """
while True:
    for each in store.accept([a_job() for _ in range(8)], NOW):
        print(each.id)
    sys.stdout.flush()
"""
)
#: Does all that workers and servers do, beside others.
WORKING = (
    WRITER
    + """
import apsw
from contextlib import suppress
other = apsw.Connection(sys.argv[1])
other.pragma("user_version")
ended = 0
for _ in range(20):
    store.accept([a_job() for _ in range(10)], NOW)
    leased = store.lease(name, 10, NOW)
    ended += sum(store.settle(name, [success(each.job.id, each.attempt) for each in leased], NOW))
    store.beat(name, NOW)
    with suppress(apsw.BusyError):  # another one does it
        other.wal_checkpoint()
    store.sweep(NOW, 10)
print(ended)
store.close()
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def run(script: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def sound(file: Path) -> bool:
    connection = apsw.Connection(str(file))
    try:
        return bool(connection.pragma("integrity_check") == "ok")
    finally:
        connection.close()


@pytest.mark.parametrize("version", ["3.51.2", "3.50.6", "3.46.1", "3.44.5", "3.7.0"])
def test_libraries_that_may_damage_a_shared_file_are_refused(version: str) -> None:
    with pytest.raises(StartupError, match="later is needed"):
        refuse_old_library(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0", "3.50.7", "3.44.6"])
def test_libraries_in_which_that_is_mended_are_taken(version: str) -> None:
    refuse_old_library(version)


def test_without_the_extra_its_name_is_told(file: Path) -> None:
    script = """
import sys
sys.modules["apsw"] = None
from septet.errors import MissingExtra
from septet.queues.store_address import StoreAddress, open_store
try:
    open_store(StoreAddress("sqlite:///" + sys.argv[1]))
except MissingExtra as error:
    print(error.message)
"""
    told, _ = run(script, file).communicate()
    assert "septet[jobs]" in told


def test_what_is_stored_is_there_when_it_is_opened_again(file: Path) -> None:
    job = a_job(key="k")
    store = SqliteStore(file)
    store.accept([job], NOW)
    store.close()
    again = SqliteStore(file)
    assert again.body(job.id) == job
    assert again.stats(NOW).states[JobState.QUEUED] == 1
    again.close()
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_bytes(b"id,label\n" * 1000)
    with pytest.raises(StartupError, match="no SQLite database"):
        SqliteStore(file)


def test_the_database_of_another_program_is_refused(file: Path) -> None:
    other = apsw.Connection(str(file))
    other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    with pytest.raises(StartupError, match="another program"):
        SqliteStore(file)


def test_a_layout_that_is_not_known_is_refused_by_its_version(file: Path) -> None:
    SqliteStore(file).close()
    other = apsw.Connection(str(file))
    other.pragma("user_version", 99)
    other.close()
    with pytest.raises(StartupError, match="version 99"):
        SqliteStore(file)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nowhere"):
        SqliteStore(tmp_path / "nowhere" / "jobs.db")


def test_a_file_that_another_program_keeps_locked_is_told_and_works_again_when_it_is_free(file: Path) -> None:
    store = SqliteStore(file, patience=0.05)
    other = apsw.Connection(str(file))
    other.execute("BEGIN IMMEDIATE")
    job = a_job()
    with pytest.raises(StoreFailed, match="locked"):
        store.accept([job], NOW)
    with pytest.raises(StartupError, match="locked"):
        SqliteStore(file, patience=0.05)
    assert store.find([job.id]) == [None]
    other.execute("ROLLBACK")
    other.close()
    store.accept([job], NOW)
    assert isinstance(store.find([job.id])[0], Job)
    store.close()


def test_what_cannot_be_written_is_not_acknowledged_and_works_again_without_a_restart(file: Path) -> None:
    script = (
        WRITER
        + """
import resource, signal
from septet.queues.job_store import StoreFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
good, bad = a_job(), a_job(body=bytes(1 << 20))
store.accept([good], NOW)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
try:
    store.accept([bad], NOW)
except StoreFailed as error:
    print("failed")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(*(each is not None for each in store.find([good.id, bad.id])))
store.accept([bad], NOW)
print(*(each is not None for each in store.find([good.id, bad.id])))
"""
    )
    told, _ = run(script, file, "w").communicate()
    assert told.split("\n")[:3] == ["failed", "True False", "True True"]
    assert sound(file)


def test_a_damaged_file_is_told(file: Path) -> None:
    store = SqliteStore(file)
    store.accept([a_job() for _ in range(200)], NOW)
    store.close()
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xff" * (size - 4096))
    with pytest.raises((StoreFailed, StartupError), match=r"jobs\.db: it is damaged"):
        SqliteStore(file).accept([a_job()], NOW)


def test_a_child_does_not_use_what_its_parent_opened(file: Path) -> None:
    store = SqliteStore(file)
    child = os.fork()
    if child == 0:
        try:
            store.find(["f" * 32])
        except StoreFailed:
            store.close()
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert store.find(["f" * 32]) == [None]
    store.close()


def test_processes_write_and_checkpoint_one_file_together(file: Path) -> None:
    others = [run(WORKING, file, f"w{number}") for number in range(3)]
    told = [each.communicate()[0] for each in others]
    ended = [int(each) for each in told]
    assert sum(ended) == 600
    store = SqliteStore(file)
    assert store.stats(NOW).states == {**dict.fromkeys(JobState, 0), JobState.SUCCEEDED: 600}
    store.close()
    assert sound(file)


def test_what_a_killed_process_had_acknowledged_is_there(file: Path) -> None:
    other = run(ACCEPTING, file, "w")
    assert other.stdout is not None
    told = [other.stdout.readline().strip() for _ in range(100)]
    other.kill()
    told += [line.strip() for line in other.stdout if line.endswith("\n")]
    other.stdout.close()
    other.wait()
    store = SqliteStore(file)
    found = store.find(told)
    assert [each for each in found if not isinstance(each, Job)] == []
    assert store.stats(NOW).states[JobState.QUEUED] == len(store.page(JobFilter(), None, 10**6).jobs)
    store.close()
    assert sound(file)


def test_a_file_becomes_smaller_when_its_jobs_are_forgotten(file: Path) -> None:
    store = SqliteStore(file, StoreLimits(keep_seconds=10.0), "normal")
    store.join("w", ["iris"], NOW)
    store.accept([a_job(body=bytes(20_000)) for _ in range(500)], NOW)
    leased = store.lease("w", 500, NOW)
    store.settle("w", [success(each.job.id) for each in leased], NOW)

    def size() -> int:
        connection = apsw.Connection(str(file))
        assert connection.pragma("journal_mode") == "wal"
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.close()
        return file.stat().st_size

    full = size()
    assert full > 10_000_000
    until(lambda: store.sweep(NOW + 100, 1000) == 0 and size() < full / 4)
    store.close()
