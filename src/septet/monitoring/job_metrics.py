"""What the page that Prometheus reads has of the store of jobs: the same from every server that uses it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from septet.queues.job import JobState
from septet.queues.job_counts import ENDINGS
from septet.queues.job_store import QueueStats

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_OF_STORE: Final = "Of the whole store: take max() over servers, not sum()."


class StoreReading(msgspec.Struct, frozen=True):
    """What a store said at a time, in seconds since 1970; None where it could not be asked."""

    stats: QueueStats | None
    now: float


def job_metrics(reading: StoreReading) -> Iterator["Metric"]:
    """The metric families of a store."""
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - it takes long to import

    stats = reading.stats
    up = "1 where this server could ask its store of jobs, 0 where not."
    yield GaugeMetricFamily("septet_job_store_up", up, value=float(stats is not None))
    if stats is None:
        return
    states = GaugeMetricFamily("septet_jobs", f"Jobs kept. {_OF_STORE}", labels=("state",))
    for state in JobState:
        states.add_metric((state.value,), stats.states.get(state, 0))
    yield states
    oldest = 0.0 if stats.oldest_at is None else max(0.0, reading.now - stats.oldest_at)
    for name, text, value in (
        ("septet_jobs_due", "Jobs and deliveries that wait and may begin now.", stats.due),
        ("septet_jobs_oldest_seconds", "Age of the oldest one that waits and may begin now; 0 for none.", oldest),
        (
            "septet_jobs_unserved",
            "Jobs and deliveries that wait for a model that no worker has.",
            sum(stats.unserved.values()),
        ),
        ("septet_jobs_stored_bytes", "Bytes of bodies and answers that are kept.", stats.stored_bytes),
        ("septet_job_deliveries", "Answers on their way to their sinks.", stats.deliveries),
        ("septet_job_workers", "Workers that take jobs.", stats.workers),
    ):
        yield GaugeMetricFamily(name, f"{text} {_OF_STORE}", value=value)
    yield from _counters(stats)


def _counters(stats: QueueStats) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - as above

    ended = CounterMetricFamily("septet_jobs_ended", f"Jobs ended. {_OF_STORE}", labels=("kind", "state", "reason"))
    attempts = CounterMetricFamily("septet_job_attempts", f"Attempts begun. {_OF_STORE}", labels=("kind",))
    waited = CounterMetricFamily(
        "septet_job_wait_seconds", f"Time that jobs were due before each attempt. {_OF_STORE}", labels=("kind",)
    )
    ran = CounterMetricFamily("septet_job_run_seconds", f"Time of attempts. {_OF_STORE}", labels=("kind",))
    for kind, counts in stats.counts.items():
        for how, state in ENDINGS.items():
            reason = how if state is JobState.FAILED else ""
            ended.add_metric((kind, state.value, reason), counts.ended.get(how, 0))
        attempts.add_metric((kind,), counts.attempts)
        waited.add_metric((kind,), counts.waited_seconds)
        ran.add_metric((kind,), counts.run_seconds)
    yield from (ended, attempts, waited, ran)
