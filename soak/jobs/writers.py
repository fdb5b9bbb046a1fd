"""Four processes write to one SQLite file, and copy its log into it, at the same time."""

import subprocess
import sys
from pathlib import Path

import apsw

from septet.queues.job import JobState
from septet.queues.sqlite_store import SqliteStore
from soak.jobs.ledger import Trial

_PROCESSES = 4
#: All that servers and workers do, until a time; tells how many jobs were accepted, ended, and copied by hand.
_WRITER = """
import sys, time
from contextlib import suppress
from pathlib import Path
import apsw
from septet.queues.sqlite_store import SqliteStore
from tests.queues.samples import NOW, a_job, success
store, name, end = SqliteStore(Path(sys.argv[1])), sys.argv[2], time.monotonic() + float(sys.argv[3])
store.join(name, ["iris"], NOW)
other = apsw.Connection(sys.argv[1])
other.pragma("user_version")
accepted = ended = copied = 0
while time.monotonic() < end:
    accepted += len(store.accept([a_job() for _ in range(10)], NOW))
    leased = store.lease(name, 10, NOW)
    ended += sum(store.settle(name, [success(each.job.id, each.attempt) for each in leased], NOW))
    store.beat(name, NOW)
    with suppress(apsw.BusyError):  # another one does it
        other.wal_checkpoint()
        copied += 1
    store.sweep(NOW, 10)
    time.sleep(float(sys.argv[4]))
while leased := store.lease(name, 10, NOW):
    ended += sum(store.settle(name, [success(each.job.id, each.attempt) for each in leased], NOW))
print(accepted, ended, copied)
other.close()
store.close()
"""
#: Each process rests for so long between its rounds, so that the file stays of a size that is soon checked.
_REST_SECONDS = 0.1


def one_file_of_many_writers(kind: str, folder: Path, _: int, minutes: float) -> Trial:
    """The file is sound at the end, and has what each process says that it did."""
    trial, file = Trial("one file of four writers", kind), folder / "writers.db"
    for each in folder.glob(f"{file.name}*"):
        each.unlink()
    SqliteStore(file).close()
    command = [sys.executable, "-c", _WRITER, str(file)]
    rest = (str(minutes * 60), str(_REST_SECONDS))
    writers = [
        subprocess.Popen([*command, f"w{number}", *rest], stdout=subprocess.PIPE, text=True)
        for number in range(_PROCESSES)
    ]
    told = [[int(word) for word in each.communicate()[0].split()] for each in writers]
    accepted, ended, copied = (sum(each) for each in zip(*told, strict=True))
    trial.figures |= {"accepted": accepted, "ended": ended, "checkpoints": copied}
    trial.check("exit codes", [each.returncode for each in writers], [0] * _PROCESSES)
    store = SqliteStore(file)
    states = store.stats(0.0).states
    store.close()
    trial.check("jobs that have succeeded", states[JobState.SUCCEEDED], accepted)
    trial.check("ends that were told", ended, accepted)
    connection = apsw.Connection(str(file))
    trial.check("integrity_check", connection.pragma("integrity_check"), "ok")
    trial.check("rows of jobs", connection.execute("SELECT count(*) FROM jobs").get, accepted)
    connection.close()
    trial.figures["MB"] = round(file.stat().st_size / 1e6)
    return trial
