"""Jobs beside task queues: how fast they are accepted and run, what an idle server does, and what they cost others."""

import subprocess

from benchmarks import job_ends, job_idle, job_submit, models
from benchmarks.bench import Bench
from benchmarks.report import BenchmarkReport, ReportTable

NOTES = (
    """\
Septet's 202 and its stored answers wait for the store, so their durability is that of the line; so are the messages and
results of the others in the very same Redis. What becomes of a job whose worker ends differs: see the first table of
those from end to end.""",
    """\
`--job-batch 1` begins a job once the answer of the one before is stored, so the time of the store is added to that of
each job; otherwise answers are stored while the next jobs run.""",
    "huey without `fsync` leaves SQLite's own default, which is `synchronous=FULL` too.",
)
GROUPS = {
    "submit": job_submit.measure,
    "small": job_ends.measure_small,
    "paused": job_ends.measure_paused,
    "idle": job_idle.measure,
    "beside": job_idle.measure_beside,
}


def run(bench: Bench) -> BenchmarkReport:
    """Each group, or those that `--only` names."""
    iris = models.iris(bench.cache)
    absent: dict[str, str] = {}
    tables: list[ReportTable] = []
    samples: dict[str, object] = {}
    for name in bench.wanted(list(GROUPS)):
        found, samples[name] = GROUPS[name](bench, iris, absent)
        tables += found
    setting = {
        "model": "iris, one row a job, `data`; the others run the same model with ONNX Runtime on one thread",
        "stores": "on one disk, empty each time; a Redis of its own for each measurement, without snapshots; SQLite in "
        f"WAL mode. {_version()}",
        "submit": "Septet's server on the first core with `--job-workers 0`, wrk with 64 connections, which also reads "
        "the tickets, on the second; the others on the first core in one Python process, without HTTP, from one or "
        "several threads or coroutines, of which the best is shown; Redis on the second",
        "end to end": "all jobs wait, then two worker processes are started; from the first result that is seen in the "
        "store to the last, looked for every 20 ms; each must have as many results as jobs. Everything on both cores. "
        "BentoML runs tasks where they are submitted: there wrk submits at the same time",
        "others": "Celery: prefork, prefetch multiplier 128, acknowledged before a job runs, as is its default; "
        "dramatiq: two processes of eight threads; taskiq: a stream; arq: 100 jobs at once, looked for every 10 ms; "
        "huey: looks every 10 to 100 ms; where jobs hold their worker, dramatiq has one thread in each process",
        "idle": "server, worker and keeper of leases on the first core, callers and Redis on the second",
        "beside": f"wrk, {job_idle.CONNECTIONS} connections; in each round the median of {job_idle.PAIRS} windows of "
        "1 s of each server, in turns",
    }
    return BenchmarkReport("Jobs", setting, tables, samples, absent, notes=NOTES)


def _version() -> str:
    done = subprocess.run(["redis-server", "--version"], check=False, capture_output=True, text=True)
    return " ".join(done.stdout.split()[:3])
