"""The page of metrics has what the store of jobs says, and stays without it."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from septet import testing
from septet.errors import SeptetError
from septet.protocols.http.http_messages import HttpReply
from septet.queues.job import NewJob
from septet.queues.job_store import Accepted, QueueStats, StoreFailed
from septet.queues.memory_store import MemoryStore
from tests.jobs.in_process import JobServer

BODY = b'{"data": [[1.5], [2.5]]}'


class UnreadableStore(MemoryStore):
    """A store that can neither be asked nor take a job."""

    def accept(self, jobs: Sequence[NewJob], now: float) -> list[Accepted | SeptetError]:
        raise StoreFailed(f"It takes none of {len(jobs)} at {now}.")

    def stats(self, now: float) -> QueueStats:
        raise StoreFailed(f"It cannot be read at {now}.")


def samples(page: bytes) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(page.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()) if value)): sample.value
        for family in families
        for sample in family.samples
    }


async def page_of(server: JobServer) -> dict[tuple[str, ...], float]:
    reply = await server.ask("GET", "/metrics")
    assert reply.status == 200
    return samples(reply.body)


def test_the_page_has_what_waits_and_what_has_ended() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            ticket = await server.post("/predict", BODY, prefer="respond-async")
            location = dict(ticket.headers)[b"location"].decode()
            await server.ask("GET", f"{location}?wait=30")
            await server.post("/predict", BODY, prefer="respond-async", septet_job_delay="3600")
            values = await page_of(server)
            assert values["septet_job_store_up",] == values["septet_job_workers",] == 1
            assert (values["septet_jobs", "queued"], values["septet_jobs", "succeeded"]) == (1, 1)
            assert values["septet_jobs_due",] == values["septet_jobs_oldest_seconds",] == 0
            assert values["septet_jobs_stored_bytes",] > 2 * len(BODY)
            assert values["septet_job_attempts_total", "predict"] == 1
            assert values["septet_jobs_ended_total", "predict", "succeeded"] == 1
            assert values["septet_jobs_ended_total", "predict", "too_old", "failed"] == 0
            assert values["septet_job_wait_seconds_total", "predict"] >= 0
            assert values["septet_job_run_seconds_total", "predict"] >= 0

    asyncio.run(scenario())


def test_a_store_that_cannot_be_asked_does_not_fail_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.jobs.in_process.MemoryStore", UnreadableStore)

    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            values = await page_of(server)
            assert values["septet_job_store_up",] == 0
            assert not any(name == "septet_jobs" for name, *_ in values)
            assert ("septet_in_flight",) in values

    asyncio.run(scenario())


def test_without_its_store_a_server_is_ready_and_answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.jobs.in_process.MemoryStore", UnreadableStore)

    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            replies: list[HttpReply] = [
                await server.ask("GET", "/health/ready"),
                await server.post("/predict", BODY),
                await server.post("/predict", BODY, prefer="respond-async"),
            ]
            assert [each.status for each in replies] == [200, 200, 503]
            assert dict(replies[-1].headers)[b"retry-after"] == b"1"

    asyncio.run(scenario())


def test_metadata_says_that_jobs_are_accepted_and_what_they_survive() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            described = json.loads((await server.ask("GET", "/metadata")).body)
            assert described["jobs"] == {"accepted": True, "durability": MemoryStore.durability}

    asyncio.run(scenario())
