"""A job for a model that no worker has says so, and is answered once a worker with it comes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.redis_servers import RedisServer, needs_redis

SEPTET = (sys.executable, "-m", "septet")


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store without jobs."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/jobs.db"
    else:
        with RedisServer() as server:
            yield server.url


def printed(command: str, *arguments: str, store: str) -> Any:
    said = subprocess.run((*SEPTET, "jobs", command, *arguments, "--jobs", store), check=True, capture_output=True)
    return said.stdout.decode()


def test_a_job_waits_visibly_until_a_worker_with_its_model_comes(store: str, tmp_path: Path) -> None:
    command = septet_serve(IRIS, "--jobs", store, "--job-workers", "0")
    with ServerProcess(command, tmp_path / "log") as server:
        ticket = server.post("/predict/async", {"data": [[5.1, 3.5, 1.4, 0.2]]}).json()
        job = server.client.get(ticket["href"]).json()
        assert job["waiting_for"] == "a worker that has the model 'iris'; none has it now"
        assert server.metric("septet_jobs_unserved") == 1
        assert "no worker for  iris: 1 waiting" in printed("stats", store=store)
        assert json.loads(printed("show", ticket["job_id"], store=store))["waiting_for"] == job["waiting_for"]
        with subprocess.Popen((*SEPTET, "worker", IRIS, "--jobs", store), stderr=subprocess.DEVNULL) as worker:
            try:
                job = server.client.get(ticket["href"] + "?wait=25").json()
            finally:
                worker.terminate()
        assert job["state"] == "succeeded"
        assert "waiting_for" not in job
        assert server.metric("septet_jobs_unserved") == 0
