"""Those that Septet's jobs are measured beside: how their jobs are sent, run by two processes, and counted."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import redis

from benchmarks.bench import THREADS, Bench
from benchmarks.job_stores import REDIS_KINDS, StoreInUse
from benchmarks.models import BenchmarkModel
from benchmarks.process import SERVER_CORE, Process, pinned
from benchmarks.servers import RIVALS as FOLDER


@dataclass(frozen=True)
class JobRival:
    """One rival, which sends from Python.

    Attributes:
        title: as tables show it.
        environment: whose Python it runs with; its tasks are in `rivals/ENVIRONMENT_jobs.py`.
        kinds: of stores.
        at_once: of how many threads or coroutines the best sends.
        workers: the commands, in its environment's folder of programs, that are two processes which run jobs.
        one_at_a_time: the same, where each process runs one job at a time.
        stored: how many results of so many jobs are in a store.
        variables: of its processes.
        keeps: what it does with a job whose worker ends.
    """

    title: str
    environment: str
    kinds: tuple[str, ...]
    at_once: tuple[int, ...]
    workers: tuple[tuple[str, ...], ...]
    one_at_a_time: tuple[tuple[str, ...], ...]
    stored: Callable[[StoreInUse, int], int]
    keeps: str
    variables: dict[str, str] = field(default_factory=dict)

    def send(self, bench: Bench, store: StoreInUse, count: int, seconds: float, at_once: int) -> tuple[float, int]:
        """Send `count` jobs, or for so long where that is 0; jobs a second, and how many are in the store.

        Raises:
            RuntimeError: it cannot be installed, or fails.
        """
        script, tasks = str(FOLDER / "job_sending.py"), f"{self.environment}_jobs"
        command = [str(bench.python(self.environment)), script, tasks, str(count), str(seconds), str(at_once)]
        done = subprocess.run(
            pinned(str(SERVER_CORE), command),
            check=False,
            capture_output=True,
            text=True,
            env=self._variables(store, None, 0),
            cwd=bench.cache / "jobs",
        )
        if done.returncode:
            raise RuntimeError(f"{self.title} cannot send: {done.stderr.strip()[-600:]}")
        sent = json.loads(done.stdout.splitlines()[-1])
        return sent["count"] / sent["seconds"], sent["all"]

    @contextmanager
    def running(
        self, bench: Bench, store: StoreInUse, model: BenchmarkModel, pause: float, cores: str
    ) -> Iterator[list[Process]]:
        """Its workers; each job is a pause of so many seconds instead, where that is not 0."""
        programs = bench.python(self.environment).parent
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    Process(
                        [str(programs / command[0]), *command[1:]],
                        0,
                        bench.cache / "jobs" / f"{self.environment}-{index}.log",
                        self._variables(store, model, pause),
                        cores=cores,
                    )
                )
                for index, command in enumerate(self.one_at_a_time if pause else self.workers)
            ]

    def _variables(self, store: StoreInUse, model: BenchmarkModel | None, pause: float) -> dict[str, str]:
        return {
            **os.environ,
            **THREADS,
            **self.variables,
            "PYTHONPATH": str(FOLDER),
            "STORE": store.rival,
            "MODEL": "" if model is None else str(model.path),
            "PAUSE": str(pause) if pause else "0",
        }


def _second_database(store: StoreInUse, _: int) -> int:
    return store.keys(1)


def _arq(store: StoreInUse, count: int) -> int:
    """Its results are keys among others: they are counted once no job waits."""
    with redis.Redis.from_url(f"{store.rival}/0") as client:
        left = int(client.zcard("arq:queue"))
        return count - left if left else sum(1 for _ in client.scan_iter("arq:result:*", count=1000))


def _huey(store: StoreInUse, _: int) -> int:
    return store.rows("select count(*) from kv")


_CELERY = ("celery", "-A", "celery_jobs", "worker", "-c", "2", "-l", "ERROR", "--without-gossip", "--without-mingle")
_DRAMATIQ = ("dramatiq", "dramatiq_jobs", "-p", "2")
_TASKIQ = ("taskiq", "worker", "taskiq_jobs:broker", "--workers", "2", "--log-level", "ERROR")
_ARQ = ("arq", "arq_jobs.WorkerSettings")
_HUEY = ("huey_consumer", "huey_jobs.huey", "-w", "2", "-k", "process", "-n", "-d", "0.01", "-m", "0.1", "-q")
_LOST = "lost: acknowledged before it runs"

JOB_RIVALS = {
    "dramatiq": JobRival(
        "dramatiq",
        "dramatiq",
        REDIS_KINDS,
        (1, 8),
        (_DRAMATIQ,),
        ((*_DRAMATIQ, "-t", "1"),),
        _second_database,
        "run again after a minute",
    ),
    "celery": JobRival("Celery", "celery", REDIS_KINDS, (1, 8), (_CELERY,), ((*_CELERY,),), _second_database, _LOST),
    "taskiq": JobRival(
        "taskiq",
        "taskiq",
        REDIS_KINDS,
        (1, 64),
        (_TASKIQ,),
        (_TASKIQ,),
        _second_database,
        "run again after ten minutes",
    ),
    "arq": JobRival("arq", "arq", REDIS_KINDS, (1, 64), (_ARQ, _ARQ), (_ARQ, _ARQ), _arq, "run again"),
    "huey": JobRival(
        "huey", "huey", ("sqlite",), (1, 8), (_HUEY,), (_HUEY,), _huey, "lost: taken out before it runs", {"FSYNC": ""}
    ),
    "huey-off": JobRival(
        "huey, `fsync=False`",
        "huey",
        ("sqlite-off",),
        (1, 8),
        (_HUEY,),
        (_HUEY,),
        _huey,
        "lost: taken out before it runs",
        {"FSYNC": "no"},
    ),
}
