"""The time of day of one server jumps by an hour both ways, while it and another one work on the same jobs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import ServerProcess, children
from tests.e2e.services.misbehaving import SLEEPS
from tests.faults.job_servers import MISBEHAVING, ended, job, job_workers, serving, submit
from tests.waiting import until

#: Python runs a module of this name first. A library that is loaded before the system's own, libfaketime, changes more
#: than the time of day: absolute waits on the monotonic clock fail under it.
STARTS = """
import os, time
real = time.time
def jumped():
    with open(os.environ["JUMPED_SECONDS"]) as file:
        return real() + float(file.read())
time.time = jumped
"""
#: Longer than a lease.
RUN_SECONDS = 1.6
JUMPS = (3600, -3600, 0)


class JumpingClock:
    """The time of day of a server, by a file that its processes read each time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "seconds"
        self.jump(0)
        starting = folder / "starting"
        starting.mkdir()
        (starting / "sitecustomize.py").write_text(STARTS)
        path = os.pathsep.join([str(starting), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {"PYTHONPATH": path, "JUMPED_SECONDS": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Set it to so many seconds after the real one."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> JumpingClock:
    return JumpingClock(tmp_path)


@pytest.fixture
def servers(clock: JumpingClock, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """One whose clock is right, and one whose clock jumps."""
    store = f"sqlite:///{tmp_path}/jobs.db"
    with (
        serving(store, tmp_path / "steady", *MISBEHAVING) as steady,
        serving(store, tmp_path / "jumping", *MISBEHAVING, environment=clock.environment) as jumping,
    ):
        until(lambda: job_workers(steady) and job_workers(jumping))
        yield steady, jumping


def test_a_jump_of_a_clock_takes_no_job_from_who_has_begun_it(
    servers: tuple[ServerProcess, ServerProcess], clock: JumpingClock
) -> None:
    steady, jumping = servers
    submitted = []
    for seconds in JUMPS:
        identifiers = [submit(each, SLEEPS, RUN_SECONDS) for each in servers]
        until(lambda each=identifiers: all(job(steady, i)["state"] != "queued" for i in each))  # type: ignore[misc]
        clock.jump(seconds)
        found = ended(jumping, identifiers)
        assert [(each["state"], each["attempts"]) for each in found] == [("succeeded", 1)] * 2
        submitted.append(found[1]["submitted_at"])
    assert submitted[0] < submitted[1] > submitted[2]  # the clock has jumped


def test_a_worker_that_is_gone_after_a_jump_does_not_keep_its_job(
    servers: tuple[ServerProcess, ServerProcess], clock: JumpingClock
) -> None:
    steady, jumping = servers
    (worker,) = job_workers(steady)
    os.kill(worker, signal.SIGSTOP)  # so that the other one begins it
    identifier = submit(steady, SLEEPS, RUN_SECONDS)
    until(lambda: job(steady, identifier)["state"] == "running")
    clock.jump(JUMPS[0])
    (gone,) = job_workers(jumping)
    # The keeper of its leases before the worker: it would give the job back by a clock that is an hour ahead.
    for each in (jumping.process.pid, *children(gone), gone):
        os.kill(each, signal.SIGKILL)
    os.kill(worker, signal.SIGCONT)
    (found,) = ended(steady, [identifier])
    assert (found["state"], found["attempts"]) == ("succeeded", 2)
