"""What a queue is told of an attempt to bring an answer."""

import random
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.queues.job import Job, NewJob, Settlement
from septet.queues.job_store import StoreLimits
from septet.queues.memory_store import MemoryStore
from septet.sinks.delivery import Delivery, delivery_of
from septet.sinks.delivery_settlement import FAILED, REFUSED, attempted, delivery_delay
from septet.sinks.folder_sink import FolderSink
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from tests.sinks.hooks import hook, status
from tests.sinks.samples import IRIS, JOB_ID, JSON_REPLY, SECRET, delivery


def test_a_delivery_is_made_of_what_a_store_has() -> None:
    with closing(MemoryStore()) as store:
        store.join("w", ["iris"], 0.0)
        asked = NewJob(id=JOB_ID, model="iris", path="/predict", request_id="r", submitted_at=1.0, sink="folder")
        store.accept([asked], 1.0)
        (leased,) = store.lease("w", 1, 2.0)
        answered = Settlement(
            id=JOB_ID, attempt=leased.attempt, outcome="succeeded", reply=JSON_REPLY, answered_by=IRIS
        )
        store.settle("w", [answered], 3.0)
        (bringing,) = store.lease("w", 1, 4.0)
        (about,) = store.find([JOB_ID])
        assert bringing.job.about == JOB_ID
        assert isinstance(about, Job)
        made = delivery_of(bringing, about, b"{}", store.reply(JOB_ID))
    assert (made.id, made.attempt, made.job_id) == (bringing.job.id, 1, JOB_ID)
    assert (made.ended_at, made.model, made.reply) == (3.0, IRIS, JSON_REPLY)


def test_each_end_of_an_attempt_is_told(tmp_path: Path) -> None:
    with hook(status(200), status(410), status(503, "retry-after: 3000"), status(503)) as made:
        sinks = OpenSinks(
            SinkPolicy(
                sinks=(f"hook=http://127.0.0.1:{made.port}/", f"folder=file://{tmp_path}/away"),
                webhook_secrets=(SECRET,),
                webhook_networks=("127.0.0.0/8",),
            )
        )
        ends = [attempted(sinks, kept, delivery(attempt=2)) for kept in ("hook", "hook", "hook", "hook", "folder")]
    assert [end.outcome for end in ends] == ["succeeded", "failed", "retry", "retry", "retry"]
    assert {(end.id, end.attempt) for end in ends} == {(delivery().id, 2)}
    assert [end.error and end.error.code for end in ends] == [None, REFUSED, FAILED, FAILED, FAILED]
    assert ends[2].delay == 3000
    assert 6.25 <= ends[3].delay <= 12.5


def test_a_hook_that_is_no_longer_allowed_is_refused_and_a_sink_that_lacks_may_come_back() -> None:
    sinks = OpenSinks(SinkPolicy())
    assert attempted(sinks, "https://example.com/", delivery()).outcome == "failed"
    assert attempted(sinks, "folder", delivery()).outcome == "retry"


def test_an_error_that_nobody_foresaw_is_tried_again_and_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: FolderSink, __: Delivery) -> None:
        raise RuntimeError("hidden")

    monkeypatch.setattr(FolderSink, "deliver", broken)
    end = attempted(OpenSinks(SinkPolicy(sinks=(f"folder=file://{tmp_path}",))), "folder", delivery())
    assert end.outcome == "retry"
    assert end.error is not None
    assert "RuntimeError" in end.error.message
    assert "hidden" not in end.error.message


@given(st.randoms(use_true_random=False))
def test_all_attempts_of_a_delivery_lie_within_its_time_and_reach_through_an_outage_of_hours(
    chance: random.Random,
) -> None:
    limits = StoreLimits()
    whole = sum(delivery_delay(attempt, None, chance) for attempt in range(1, limits.delivery_attempts))
    assert 8 * 3600 <= whole <= limits.delivery_seconds
