"""The faults that jobs are put to: each returns what became of it, judged."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.jobs.ledger import JobLedger, Trial
from soak.jobs.writers import one_file_of_many_writers
from tests.e2e.process import ServerProcess
from tests.e2e.services.misbehaving import HOLDS, RAISES, SLEEPS
from tests.faults.job_servers import MISBEHAVING, job, job_workers, serving
from tests.redis_servers import RedisServer
from tests.waiting import until

#: The stores, by name.
STORES = ("sqlite", "redis")
_DURABLE = {"appendonly": "yes", "appendfsync": "always"}
_BETWEEN_KILLS_SECONDS = 2.0
_LEASE_SECONDS = 5.0
#: How long a job runs: the least and the most.
_RUN_SECONDS = (0.05, 0.1)
_EVERY = 10


@contextmanager
def _stored(kind: str, folder: Path, name: str) -> Iterator[tuple[str, RedisServer | None]]:
    """The URL of a store without jobs, and its server where it has one."""
    if kind == "sqlite":
        file = folder / f"{name}.db"
        for each in folder.glob(f"{file.name}*"):
            if each.is_file():
                each.unlink()
        yield f"sqlite:///{file.absolute()}", None
        return
    with RedisServer(**_DURABLE) as redis:
        yield redis.url, redis


def killed_servers(kind: str, folder: Path, jobs: int, _: float) -> Trial:
    """A server is killed after each ticket, and its Redis as well; then one that lives answers all."""
    trial, log = Trial("killed servers", kind), folder / f"killed-servers-{kind}.log"
    with _stored(kind, folder, "killed-servers") as (url, redis):
        ledger = JobLedger(url)
        for number in range(jobs):
            # Workers take as long to start as servers, so not every server has one; most are killed at once.
            working = number % _EVERY == 0
            with serving(url, log, "--job-workers", str(int(working))) as server:
                ledger.submit(server, 5.1, 3.5)
                time.sleep(random.uniform(0.0, 0.05) if working else 0.0)
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait()
            if redis is not None:
                redis.kill()
                redis.start()
        trial.figures["kills"] = jobs
        with serving(url, log):
            ledger.ended(600.0)
        ledger.compare(trial)
    return trial


def killed_workers(kind: str, folder: Path, jobs: int, _: float) -> Trial:
    """Of four workers a random one is killed every two seconds, while they answer jobs that have three attempts."""
    trial, log = Trial("killed workers", kind), folder / f"killed-workers-{kind}.log"
    with (
        _stored(kind, folder, "killed-workers") as (url, _redis),
        serving(url, log, "--job-workers", "4", *MISBEHAVING) as server,
    ):
        ledger = JobLedger(url)
        for _number in range(jobs):
            ledger.submit(server, SLEEPS, random.uniform(*_RUN_SECONDS))
        kills, begun, deadline = 0, time.monotonic(), time.monotonic() + 600.0
        while ledger.left() and time.monotonic() < deadline:
            if time.monotonic() > begun + (kills + 1) * _BETWEEN_KILLS_SECONDS:
                os.kill(random.choice(until(lambda: job_workers(server))), signal.SIGKILL)
                kills += 1
            time.sleep(0.1)
        trial.figures |= {"kills": kills, "seconds": round(time.monotonic() - begun)}
        ledger.compare(trial)
        trial.check("jobs that have succeeded", trial.figures.get("succeeded"), jobs)
    return trial


def held_interpreter(kind: str, folder: Path, _: int, minutes: float) -> Trial:
    """A job holds the interpreter for a minute, with a lease of five seconds and a second worker."""
    trial, log = Trial("held interpreter", kind), folder / f"held-interpreter-{kind}.log"
    options = ("--job-workers", "2", "--job-lease", str(_LEASE_SECONDS), "--job-seconds", "600", *MISBEHAVING)
    with _stored(kind, folder, "held-interpreter") as (url, _redis), serving(url, log, *options) as server:
        ledger = JobLedger(url)
        seconds = min(60.0, 60.0 * minutes)
        identifier = ledger.submit(server, HOLDS, seconds)
        ledger.ended(seconds + 120.0)
        found = job(server, identifier)
        trial.figures["held seconds"] = seconds
        trial.check("state and attempts", (found["state"], found["attempts"]), ("succeeded", 1))
        ledger.compare(trial)
    return trial


def raising_model(kind: str, folder: Path, _: int, minutes: float) -> Trial:
    """Every tenth job raises what nobody expects, for minutes: the same workers still answer."""
    trial, log = Trial("raising model", kind), folder / f"raising-model-{kind}.log"
    with (
        _stored(kind, folder, "raising-model") as (url, _redis),
        serving(url, log, "--job-workers", "2", "--job-attempts", "1", *MISBEHAVING) as server,
    ):
        ledger = JobLedger(url)
        workers = until(lambda: len(found := job_workers(server)) == 2 and found)
        assert workers
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            for number in range(_EVERY):
                ledger.submit(server, SLEEPS if number else RAISES, 0.005)
            ledger.ended(60.0)
        trial.check("workers", sorted(job_workers(server)), sorted(workers))
        _still_answers(ledger, server, trial)
        ledger.compare(trial)
        expected = (len(ledger.sent) - 1) // _EVERY
        trial.check("jobs that have failed", trial.figures.get("failed"), expected)
    return trial


def _still_answers(ledger: JobLedger, server: ServerProcess, trial: Trial) -> None:
    identifier = ledger.submit(server, 5.1, 3.5)
    trial.check("the last job", job(server, identifier, 30.0)["state"], "succeeded")


#: Each with a number of jobs and of minutes, of which it heeds one.
TRIALS = {
    "servers": killed_servers,
    "workers": killed_workers,
    "held": held_interpreter,
    "raising": raising_model,
    "writers": one_file_of_many_writers,
}
