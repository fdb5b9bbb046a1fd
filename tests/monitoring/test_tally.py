import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from septet.events import Finished
from septet.monitoring.layout import SECONDS_BOUNDS, Layout
from septet.monitoring.observers import Observers
from septet.monitoring.tally import Tally

LAYOUT = Layout(["/predict", "/health"], ["ok", "invalid"])


def answered(route: str = "/predict", code: str = "ok", seconds: float = 0.001) -> Finished:
    return Finished(route, "an-id", code, 200, 2, seconds, queue_seconds=0.25, run_seconds=0.5, batch_rows=3)


def refused(code: str) -> Finished:
    return Finished("/predict", "an-id", code, 422, 0, 0.001)


def test_a_finished_request_is_counted_by_route_and_code() -> None:
    tally = Tally(LAYOUT)
    counts = tally.claim()

    counts.turned(1, ())
    counts.turned(0, [answered()])

    totals = tally.totals()
    assert totals.requests[totals.routes.index("/predict"), totals.codes.index("ok")] == 1
    assert totals.requests.sum() == 1
    assert (totals.rows, totals.queue_seconds, totals.run_seconds, totals.batch_sum) == (2, 0.25, 0.5, 3)
    assert totals.batch_buckets.tolist() == [0, 0, 1] + [0] * 10


def test_what_predictions_took_is_summed_and_a_shared_run_is_one_execution() -> None:
    tally = Tally(LAYOUT)
    counts = tally.claim()
    before = time.time()
    for rows in (3, 5):
        counts.turned(0, [Finished("/predict", "id", "ok", 200, rows, 1.0, 0.125, 0.25, 0.5, 0.0625, batch_rows=8)])
    counts.turned(0, [refused("invalid")])

    totals = tally.totals()
    assert (totals.decode_seconds, totals.queue_seconds, totals.run_seconds, totals.encode_seconds) == (
        *(0.25, 0.5),
        *(1.0, 0.125),
    )
    assert (totals.answered_seconds, totals.rows, totals.executions) == (2.0, 8, 1)
    assert before <= totals.last_answer <= time.time()


def test_unlisted_routes_and_codes_have_cells_of_their_own() -> None:
    tally = Tally(LAYOUT)
    counts = tally.claim()

    counts.turned(0, [answered(route="/../etc/passwd")])
    counts.turned(0, [refused("teapot")])

    totals = tally.totals()
    assert totals.requests[totals.routes.index("unmatched")].sum() == 1
    assert totals.requests[:, totals.codes.index("other")].sum() == 1


def test_a_refused_request_counts_no_rows_and_no_run() -> None:
    tally = Tally(LAYOUT)
    tally.claim().turned(0, [refused("invalid")])

    totals = tally.totals()
    assert totals.requests.sum() == 1
    assert (totals.rows, totals.batch_buckets.sum()) == (0, 0)


def test_latencies_fall_into_the_bucket_whose_bound_includes_them() -> None:
    tally = Tally(LAYOUT)
    counts = tally.claim()

    for seconds in (*SECONDS_BOUNDS, 31.0):
        counts.turned(0, [answered(seconds=seconds)])

    totals = tally.totals()
    assert totals.seconds_buckets[0].tolist() == [1] * (len(SECONDS_BOUNDS) + 1)
    assert np.isclose(totals.seconds_sums[0], sum(SECONDS_BOUNDS) + 31)


def test_a_replacement_goes_on_counting_where_the_dead_worker_stopped() -> None:
    tally = Tally(LAYOUT, slots=2)
    first = tally.claim(1)
    first.turned(1, ())
    first.turned(0, [answered()])
    first.turned(1, ())
    first.loaded(load_seconds=3.0, startup_seconds=4.0)

    tally.claim(1).turned(0, [answered()])

    totals = tally.totals()
    assert totals.requests.sum() == 2
    assert totals.in_flight == -1  # the second finished a request that it had not started
    assert (totals.load_seconds, totals.workers) == (0, 1)


def test_a_released_slot_keeps_its_counters_and_loses_its_gauges() -> None:
    tally = Tally(LAYOUT, slots=2)
    counts = tally.claim(0)
    counts.loaded(load_seconds=3.0, startup_seconds=4.0)
    counts.turned(1, ())
    counts.turned(1, ())
    counts.turned(0, [answered()])
    assert (tally.totals().in_flight, tally.totals().workers, tally.totals().startup_seconds) == (1, 1, 4)

    tally.release(0)

    totals = tally.totals()
    assert (totals.in_flight, totals.workers, totals.startup_seconds) == (0, 0, 0)
    assert totals.requests.sum() == 1


def test_a_beat_is_seen_by_slot() -> None:
    tally = Tally(LAYOUT, slots=2)

    tally.beat(1, 12.5)

    assert (tally.last_beat(0), tally.last_beat(1)) == (0, 12.5)


FORKING = """
import os
from septet.events import Finished
from septet.monitoring.layout import Layout
from septet.monitoring.tally import Tally

tally = Tally(Layout(["/predict"], ["ok"]), slots=3)
children = []
for slot in range(3):
    if (child := os.fork()) == 0:
        counts = tally.claim(slot)
        for _ in range(1000):
            counts.turned(0, [Finished("/predict", "id", "ok", 200, 1, 0.001)])
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
tally.restarted()
print(int(tally.totals().requests.sum()), int(tally.totals().restarts))
"""


def test_forked_processes_count_into_one_tally() -> None:
    answer = subprocess.run([sys.executable, "-c", FORKING], check=True, capture_output=True, text=True)

    assert answer.stdout.split() == ["3000", "1"]


class Heard:
    """Keeps what each turn brought."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, list[Finished]]] = []

    def turned(self, started: int, finished: Sequence[Finished]) -> None:
        self.turns.append((started, list(finished)))


def test_each_listener_is_told_once_a_turn_what_it_brought() -> None:
    first, second = Heard(), Heard()
    one, two = answered(), refused("invalid")

    async def story() -> None:
        observers = Observers(first, second)
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
    tally = Tally(LAYOUT, slots=3)
    for slot in range(3):
        tally.claim(slot)
    tally.connected(0, 9, listening=True)
    assert not tally.crowded(0)  # the others do not listen
    tally.connected(1, 8, listening=True)
    tally.connected(2, 0, listening=False)
    assert not tally.crowded(0)
    tally.connected(1, 5, listening=True)
    assert tally.crowded(0)
    assert not tally.crowded(1)
    assert tally.totals().connections == 14
    tally.release(1)
    assert not tally.crowded(0)
