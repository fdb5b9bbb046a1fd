import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from septet.events import Finished
from septet.monitoring.metrics_layout import SECONDS_BOUNDS, MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.monitoring.worker_metrics import TurnObservers

LAYOUT = MetricsLayout(["/predict", "/health"], ["ok", "invalid"])


def answered(route: str = "/predict", code: str = "ok", seconds: float = 0.001) -> Finished:
    return Finished(route, "an-id", code, 200, 2, seconds, queue_seconds=0.25, run_seconds=0.5, batch_rows=3)


def refused(code: str) -> Finished:
    return Finished("/predict", "an-id", code, 422, 0, 0.001)


def test_a_finished_request_is_counted_by_route_and_code() -> None:
    shared_metrics = SharedMetrics(LAYOUT)
    counts = shared_metrics.claim()

    counts.turned(1, ())
    counts.turned(0, [answered()])

    snapshot = shared_metrics.snapshot()
    assert snapshot.requests[0, snapshot.routes.index("/predict"), snapshot.codes.index("ok")] == 1
    assert snapshot.requests.sum() == 1
    assert (snapshot.rows[0], snapshot.queue_seconds[0], snapshot.run_seconds[0], snapshot.batch_sum[0]) == (
        2,
        0.25,
        0.5,
        3,
    )
    assert snapshot.batch_buckets[0].tolist() == [0, 0, 1] + [0] * 10


def test_what_predictions_took_is_summed_and_a_shared_run_is_one_execution() -> None:
    shared_metrics = SharedMetrics(LAYOUT)
    counts = shared_metrics.claim()
    before = time.time()
    for rows in (3, 5):
        counts.turned(0, [Finished("/predict", "id", "ok", 200, rows, 1.0, 0.125, 0.25, 0.5, 0.0625, batch_rows=8)])
    counts.turned(0, [refused("invalid")])

    snapshot = shared_metrics.snapshot()
    assert (snapshot.decode_seconds[0], snapshot.queue_seconds[0]) == (0.25, 0.5)
    assert (snapshot.run_seconds[0], snapshot.encode_seconds[0]) == (1.0, 0.125)
    assert (snapshot.answered_seconds[0], snapshot.rows[0], snapshot.executions[0]) == (2.0, 8, 1)
    assert before <= snapshot.last_answer[0] <= time.time()


def test_unlisted_routes_and_codes_have_cells_of_their_own() -> None:
    shared_metrics = SharedMetrics(LAYOUT)
    counts = shared_metrics.claim()

    counts.turned(0, [answered(route="/../etc/passwd")])
    counts.turned(0, [refused("teapot")])

    snapshot = shared_metrics.snapshot()
    assert snapshot.requests[0, snapshot.routes.index("unmatched")].sum() == 1
    assert snapshot.requests[:, snapshot.codes.index("other")].sum() == 1


def test_a_refused_request_counts_no_rows_and_no_run() -> None:
    shared_metrics = SharedMetrics(LAYOUT)
    shared_metrics.claim().turned(0, [refused("invalid")])

    snapshot = shared_metrics.snapshot()
    assert snapshot.requests.sum() == 1
    assert (snapshot.rows.sum(), snapshot.batch_buckets.sum()) == (0, 0)


def test_latencies_fall_into_the_bucket_whose_bound_includes_them() -> None:
    shared_metrics = SharedMetrics(LAYOUT)
    counts = shared_metrics.claim()

    for seconds in (*SECONDS_BOUNDS, 31.0):
        counts.turned(0, [answered(seconds=seconds)])

    snapshot = shared_metrics.snapshot()
    assert snapshot.seconds_buckets[0, 0].tolist() == [1] * (len(SECONDS_BOUNDS) + 1)
    assert np.isclose(snapshot.seconds_sums[0, 0], sum(SECONDS_BOUNDS) + 31)


def test_a_replacement_goes_on_counting_where_the_dead_worker_stopped() -> None:
    shared_metrics = SharedMetrics(LAYOUT, slots=2)
    first = shared_metrics.claim(1)
    first.turned(1, ())
    first.turned(0, [answered()])
    first.turned(1, ())
    first.loaded(load_seconds=3.0, startup_seconds=4.0)

    shared_metrics.claim(1).turned(0, [answered()])

    snapshot = shared_metrics.snapshot()
    assert snapshot.requests.sum() == 2
    assert snapshot.in_flight == -1  # the second finished a request that it had not started
    assert (snapshot.load_seconds, snapshot.workers, snapshot.workers_ready) == (0, 1, 0)


def test_a_released_slot_keeps_its_counters_and_loses_its_gauges() -> None:
    shared_metrics = SharedMetrics(LAYOUT, slots=2)
    counts = shared_metrics.claim(0)
    counts.loaded(load_seconds=3.0, startup_seconds=4.0)
    counts.turned(1, ())
    counts.turned(1, ())
    counts.turned(0, [answered()])
    assert (
        shared_metrics.snapshot().in_flight,
        shared_metrics.snapshot().workers,
        shared_metrics.snapshot().startup_seconds,
    ) == (1, 1, 4)

    shared_metrics.release(0)

    snapshot = shared_metrics.snapshot()
    assert (snapshot.in_flight, snapshot.workers, snapshot.startup_seconds) == (0, 0, 0)
    assert snapshot.requests.sum() == 1


def test_a_beat_is_seen_by_slot() -> None:
    shared_metrics = SharedMetrics(LAYOUT, slots=2)

    shared_metrics.beat(1, 12.5)

    assert (shared_metrics.last_beat(0), shared_metrics.last_beat(1)) == (0, 12.5)


FORKING = """
import os
from septet.events import Finished
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics

shared_metrics = SharedMetrics(MetricsLayout(["/predict"], ["ok"]), slots=3)
children = []
for slot in range(3):
    if (child := os.fork()) == 0:
        counts = shared_metrics.claim(slot)
        for _ in range(1000):
            counts.turned(0, [Finished("/predict", "id", "ok", 200, 1, 0.001)])
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
shared_metrics.restarted()
print(int(shared_metrics.snapshot().requests.sum()), int(shared_metrics.snapshot().restarts))
"""


def test_forked_processes_count_into_shared_metrics() -> None:
    answer = subprocess.run([sys.executable, "-c", FORKING], check=True, capture_output=True, text=True)

    assert answer.stdout.split() == ["3000", "1"]


class Heard:
    """Keeps what each turn brought."""

    least_status = 0

    def __init__(self) -> None:
        self.turns: list[tuple[int, list[Finished]]] = []

    def turned(self, started: int, finished: Sequence[Finished]) -> None:
        self.turns.append((started, list(finished)))


def test_each_listener_is_told_once_a_turn_what_it_brought() -> None:
    first, second = Heard(), Heard()
    one, two = answered(), refused("invalid")

    async def story() -> None:
        observers = TurnObservers(first, second)
        observers.started()
        observers.finished(one)
        observers.started()
        await asyncio.sleep(0)
        observers.finished(two)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(story())
    assert first.turns == second.turns == [(2, [one]), (0, [two])]


def test_a_worker_is_crowded_where_another_that_accepts_has_clearly_fewer_connections() -> None:
    shared_metrics = SharedMetrics(LAYOUT, slots=3)
    for slot in range(3):
        shared_metrics.claim(slot)
    shared_metrics.connected(0, 9, listening=True)
    assert not shared_metrics.crowded(0)  # the others do not listen
    shared_metrics.connected(1, 8, listening=True)
    shared_metrics.connected(2, 0, listening=False)
    assert not shared_metrics.crowded(0)
    shared_metrics.connected(1, 5, listening=True)
    assert shared_metrics.crowded(0)
    assert not shared_metrics.crowded(1)
    assert shared_metrics.snapshot().connections == 14
    shared_metrics.release(1)
    assert not shared_metrics.crowded(0)
