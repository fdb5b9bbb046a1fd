"""BentoML's tasks: submitted over HTTP, and run by the very processes that accept them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench import THREADS, Bench
from benchmarks.forms import FORMS, FormBody
from benchmarks.job_stores import StoreInUse
from benchmarks.models import BenchmarkModel
from benchmarks.process import SERVER_CORE, Process, free_ports
from benchmarks.servers import RIVALS

ENDED = "select count(*) from result where status = 'completed'"


@contextmanager
def submitting(
    bench: Bench, model: BenchmarkModel, store: StoreInUse, pause: float = 0, cores: str = str(SERVER_CORE)
) -> Iterator[tuple[Process, FormBody]]:
    """Its server with two workers, and what to submit."""
    python = bench.python("bentoml")
    (port,) = free_ports(1)
    command = [str(python), "-m", "bentoml", "serve", "--working-dir", str(RIVALS), "--port", str(port)]
    variables = {
        **os.environ,
        **THREADS,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(RIVALS),
        "MODEL": str(model.path),
        "PAUSE": str(pause),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOST": "127.0.0.1",
        "BENTOML_HOME": str(bench.cache / "bentoml"),
        "BENTOML_RESULT_STORE": store.rival,
    }
    log = bench.cache / "jobs" / "bentoml.log"
    body = FORMS["data"].body(model, model.rows[:1])
    with Process([*command, "bento_jobs:Jobs"], port, log, variables, cores=cores) as process:
        process.first_answer(FormBody("/predict", body.content, body.headers), within=60)
        yield process, FormBody("/predict/submit", body.content, body.headers)
