"""Real servers with jobs: started, asked, waited for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.process import IRIS, ServerProcess, children, septet_serve
from tests.waiting import until

ENDED = ("succeeded", "failed", "expired", "cancelled")
MISBEHAVING = ("--middleware", "tests.e2e.services.misbehaving:Misbehaving")


@contextmanager
def serving(
    store: str, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A server with one worker of jobs, whose leases are of a second."""
    command = septet_serve(IRIS, "--jobs", store, "--job-lease", "1", *options)
    with ServerProcess(command, log, environment=environment) as server:
        yield server


def submit(server: ServerProcess, first: float = 5.1, second: float = 3.5, **headers: str) -> str:
    answer = server.post("/predict/async", {"data": [[first, second, 1.4, 0.2]]}, **headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def refused(server: ServerProcess, rows: int = 1) -> str:
    """Why no job is accepted now, or nothing where one was."""
    answer = server.post("/predict/async", {"data": [[5.1, 3.5, 1.4, 0.2]] * rows})
    if answer.status_code == httpx.codes.ACCEPTED:
        return ""
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
    assert answer.json()["error"]["code"] == "unavailable"
    return str(answer.json()["error"]["message"])


def job(server: ServerProcess, identifier: str, wait: float = 0.0) -> dict[str, Any]:
    answer = server.client.get(f"/job/{identifier}?wait={wait}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(server: ServerProcess, identifiers: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs, once all of them have ended."""
    found = [until(lambda each=each: _over(job(server, each, 10.0)), 120.0) for each in identifiers]  # type: ignore[misc]
    return [each for each in found if each is not None]


def _over(found: dict[str, Any]) -> dict[str, Any] | None:
    return found if found["state"] in ENDED else None


def job_workers(server: ServerProcess) -> list[int]:
    """The processes that answer jobs: those which have a lease keeper beside them."""
    return [child for child in children(server.process.pid) if any("lease_keeper" in c for c in _commands(child))]


def _commands(pid: int) -> list[str]:
    return [Path(f"/proc/{child}/cmdline").read_text() for child in children(pid)]
