"""What happens to jobs is logged where requests are, with nothing that a caller sent."""

import asyncio
import logging
from typing import Any

import pytest

from septet import testing
from septet.errors import ModelFailed
from septet.jobs.store_outage import StoreOutage
from septet.monitoring.log import Entry
from septet.testing import FailingPredictor
from tests.jobs.in_process import JobServer

BODY = b'{"data": [[1.5], [2.5]]}'
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def entries(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    found = [record.msg for record in caplog.records if record.name == "septet.jobs"]
    return [(each.event, dict(each.fields)) for each in found if isinstance(each, Entry)]


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("septet"), "propagate", True)
    caplog.set_level(logging.INFO, "septet")


async def ended(server: JobServer, **headers: str) -> None:
    ticket = await server.post("/predict", BODY, prefer="respond-async", **headers)
    location = dict(ticket.headers)[b"location"].decode()
    await server.ask("GET", f"{location}?wait=30")


def test_each_event_of_a_job_is_a_line_with_its_ids(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), access=True) as server:
            await ended(server, x_request_id="r-1", traceparent=TRACE, septet_job_key="a-secret-key")

    asyncio.run(scenario())
    events = entries(caplog)
    assert [event for event, _ in events] == ["job accepted", "job begun", "job ended"]
    assert all((each["id"], each["model"], each["trace"]) == ("r-1", "model", TRACE) for _, each in events)
    assert len({each["job"] for _, each in events}) == 1
    last = events[-1][1]
    assert (last["state"], last["attempt"], last["worker"]) == ("succeeded", 1, "w")
    assert last["waited"] >= 0
    assert last["seconds"] >= 0
    assert "a-secret-key" not in caplog.text


def test_a_job_that_fails_for_good_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with JobServer(
            testing.service(predictor=FailingPredictor(ModelFailed("It cannot."))), access=True
        ) as server:
            await ended(server, septet_job_attempts="1", traceparent="no trace")

    asyncio.run(scenario())
    last = entries(caplog)[-1][1]
    assert (last["state"], last["reason"], last["code"]) == ("failed", "attempts_exhausted", "model_failed")
    assert "trace" not in last


def test_without_the_access_log_no_job_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            await ended(server)

    asyncio.run(scenario())
    assert entries(caplog) == []


def test_a_long_outage_of_the_store_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, 59.0, 60.0, 100.0, 161.0, 162.0, 162.0))
    outage = StoreOutage(lambda: next(times))
    for _ in range(3):
        outage.failed("gone")
    outage.ended()
    assert caplog.messages == []
    for _ in range(3):
        outage.failed("gone")
    outage.ended()
    outage.ended()
    assert caplog.messages == [
        "the store of jobs cannot be asked for 61 s, so no job is answered: gone",
        "the store of jobs can be asked again, after 62 s",
    ]
