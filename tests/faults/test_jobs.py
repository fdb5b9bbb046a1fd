"""Jobs outlive what runs them: servers and workers that are killed, stopped, held up and asked to end."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.services.misbehaving import HOLDS, KILLS, STOPS
from tests.faults.job_servers import MISBEHAVING, ended, job, job_workers, serving, submit
from tests.redis_servers import RedisServer, needs_redis
from tests.waiting import until


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store without jobs."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    return f"{request.getfixturevalue('redis_server').url}?queue={tmp_path.name}"


def test_what_was_accepted_before_the_server_was_killed_is_answered_once(store: str, tmp_path: Path) -> None:
    accepted: list[str] = []
    for _ in range(3):
        with serving(store, tmp_path / "log") as server:
            with ThreadPoolExecutor(8) as pool:
                accepted += pool.map(lambda _: submit(server), range(40))
            server.process.kill()
            server.process.wait()
    with serving(store, tmp_path / "log") as server:
        found = ended(server, accepted)
        assert {each["state"] for each in found} == {"succeeded"}
        assert len({each["job_id"] for each in found}) == 120
        listed = server.client.get("/jobs?limit=100").json()
        assert len(listed["jobs"]) + len(server.client.get(listed["next"]).json()["jobs"]) == 120


def test_workers_that_are_killed_one_after_the_other_lose_no_job(store: str, tmp_path: Path) -> None:
    with serving(store, tmp_path / "log", "--job-workers", "2", "--job-max-age", "600") as server:
        accepted = []
        for _ in range(5):
            accepted += [submit(server, septet_job_attempts="50") for _ in range(20)]
            workers = until(lambda: job_workers(server))
            os.kill(workers[0], signal.SIGKILL)
        found = ended(server, accepted)
    assert {each["state"] for each in found} == {"succeeded"}


def test_a_body_that_ends_its_workers_fails_after_its_attempts_and_harms_no_other(store: str, tmp_path: Path) -> None:
    with serving(store, tmp_path / "log", *MISBEHAVING) as server:
        poison = submit(server, KILLS)
        others = [submit(server) for _ in range(10)]
        (failed,) = ended(server, [poison])
        assert (failed["state"], failed["reason"], failed["attempts"]) == ("failed", "attempts_exhausted", 3)
        assert failed["error"]["code"] == "worker_lost"
        found = ended(server, others)
        assert {each["state"] for each in found} == {"succeeded"}
        # Those that were begun beside it had to be begun again, alone; no more often.
        assert max(each["attempts"] for each in found) <= 2
        dead = server.client.get("/jobs?state=failed").json()["jobs"]
        assert [each["job_id"] for each in dead] == [poison]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_job_that_holds_the_interpreter_for_longer_than_a_lease_runs_once(store: str, tmp_path: Path) -> None:
    with serving(store, tmp_path / "log", "--job-workers", "2", *MISBEHAVING) as server:
        (found,) = ended(server, [submit(server, HOLDS)])
    assert (found["state"], found["attempts"]) == ("succeeded", 1)


def test_a_worker_that_was_stopped_past_its_lease_overwrites_nothing(store: str, tmp_path: Path) -> None:
    with serving(store, tmp_path / "log", "--job-workers", "2", *MISBEHAVING) as server:
        until(lambda: len(job_workers(server)) == 2)
        identifier = submit(server, STOPS)
        first = until(lambda: _worker(job(server, identifier)))
        stopped = int(first.split("-")[-2])
        # The second worker stops as well; then the first goes on, and neither may say what became of it.
        second = until(lambda: _worker(job(server, identifier), first), 60.0)
        os.kill(stopped, signal.SIGCONT)
        os.kill(int(second.split("-")[-2]), signal.SIGCONT)
        (found,) = ended(server, [identifier])
        assert found["attempts"] >= 2
        assert found["worker"] != first
        assert ended(server, [submit(server)])[0]["state"] == "succeeded"


def _worker(found: dict[str, Any], but: str = "") -> str:
    """Who has begun a job last; empty where nobody has, or the one named."""
    name = str(found.get("worker") or "")
    return "" if name == but else name


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_worker_that_is_told_to_stop_gives_its_jobs_back(store: str, tmp_path: Path) -> None:
    with serving(store, tmp_path / "log") as server:
        identifiers = [submit(server, septet_job_attempts="1") for _ in range(30)]
        assert server.stop() == 0
    with serving(store, tmp_path / "again") as server:
        found = ended(server, identifiers)
    others = [each for each in found if (each["state"], each["attempts"]) != ("succeeded", 1)]
    assert others == [], (tmp_path / "log").read_text() + (tmp_path / "again").read_text()


def test_a_store_that_cannot_be_used_stops_the_start_by_name(tmp_path: Path) -> None:
    for url, word in (
        ("mysql://h/db", "sqlite:///FILE"),
        (f"sqlite:///{tmp_path}/none/jobs.db", "none"),
        ("redis://127.0.0.1:1/0", "127.0.0.1:1"),
    ):
        log = tmp_path / "log"
        with pytest.raises(AssertionError, match="ended with 2"), serving(url, log):
            pass
        text = log.read_text()
        assert word in text, text
        assert "Traceback" not in text, text


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_store_is_looked_at_by_the_command_line(store: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    def jobs(*words: str) -> str:
        command = [sys.executable, "-m", "septet", "jobs", *words, "--jobs", store]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with serving(store, tmp_path / "log") as server:
        identifier = submit(server)
        ended(server, [identifier])
        assert identifier in jobs("list")
        assert '"setosa"' in jobs("show", identifier) or '"prediction"' in jobs("show", identifier)
        again = jobs("replay", identifier).split()[-1]
        assert ended(server, [again])[0]["state"] == "succeeded"
        assert "succeeded" in jobs("stats")
        assert "2 jobs forgotten" in jobs("purge", "--state", "succeeded")
        assert server.client.get(f"/job/{identifier}").status_code == httpx.codes.NOT_FOUND
