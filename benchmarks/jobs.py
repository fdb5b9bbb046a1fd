"""Jobs beside task queues: how fast they are accepted and run, what an idle server does, and what they cost others."""

from benchmarks import job_ends, job_idle, job_submit, models
from benchmarks.bench import Bench
from benchmarks.report import BenchmarkReport, ReportTable

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
        "model": "iris, one row a job, `data`, where nothing else is said",
    }
    return BenchmarkReport("Jobs", setting, tables, samples, absent)
