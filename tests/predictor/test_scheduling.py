"""What runs next and where follows from what waits, the time and the estimate."""

import math
from collections import deque
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.predictor.latency_model import INLINE_SECONDS, LatencyModel, RunEstimate
from septet.predictor.queued_request import QueuedRequest
from septet.predictor.scheduling import (
    TURN_SECONDS,
    earliest_deadline,
    expired_at,
    fits_turn,
    is_full,
    next_batch,
    next_run,
)
from tests.predictor.echoes import request

NOW = 100.0
QUICK = RunEstimate(LatencyModel(0.0, INLINE_SECONDS / 4), 64)
HEAVY = RunEstimate(LatencyModel(0.0, 1.0), 4)
AWAY = RunEstimate(LatencyModel(0.0, INLINE_SECONDS / 4), 64, not_inline_before=NOW + 1)
Draw: TypeAlias = list[tuple[int, str, str]]


def queued(rows: int = 1, key: str = "a", deadline: float | None = None) -> QueuedRequest:
    return QueuedRequest(request(*range(rows), deadline=deadline), lambda _: None, key, 0.0)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ab"), st.sampled_from(["live", "late", "gone"]))),
    st.integers(1, 8),
)
def test_every_request_is_taken_once_in_order_with_its_own_kind(drawn: Draw, max_rows: int) -> None:
    waiting: deque[QueuedRequest] = deque()
    for rows, key, state in drawn:
        waiting.append(queued(rows, key, 5.0 if state == "late" else 50.0))
        if state == "gone":
            waiting[-1].cancel()
    everyone = list(waiting)
    taken: list[QueuedRequest] = []
    late: list[QueuedRequest] = []
    while waiting:
        batch, expired = next_batch(waiting, 10.0, max_rows, lambda _: 0.0)
        assert len({each.key for each in batch}) <= 1
        assert len(batch) <= 1 or sum(each.request.rows for each in batch) <= max_rows
        taken += batch
        late += expired
    states = [state for _, _, state in drawn]
    assert [id(t) for t in taken] == [id(t) for t, state in zip(everyone, states, strict=True) if state == "live"]
    assert [id(t) for t in late] == [id(t) for t, state in zip(everyone, states, strict=True) if state == "late"]


def test_a_batch_is_no_larger_than_its_earliest_deadline_allows() -> None:
    waiting = deque(queued(deadline=each) for each in (20.0, 13.5, 30.0, 13.0, None))
    sizes = []
    while waiting:
        batch, _ = next_batch(waiting, 10.0, 64, float)
        sizes.append(len(batch))
    assert sizes == [3, 2]  # three rows are done at 13.0, before 13.5; four would not be


@pytest.mark.parametrize(
    ("estimate", "waiting", "spent", "fits", "full"),
    [
        (QUICK, 0, 0.0, True, False),
        (QUICK, 1, 0.0, True, True),  # without a fixed part, merging gains nothing
        (QUICK, 4, 0.0, True, True),
        (QUICK, 20, 0.0, True, True),
        (QUICK, 21, 0.0, False, True),  # five milliseconds are over; but it fills a run of the thread
        (QUICK, 1, TURN_SECONDS, False, False),
        (AWAY, 1, 0.0, False, False),
        (HEAVY, 1, 0.0, False, True),
        (RunEstimate(LatencyModel(1e-4, 1e-5), 64), 63, 0.0, True, False),
        (RunEstimate(LatencyModel(1e-4, 1e-5), 64), 64, 0.0, True, True),
    ],
)
def test_the_loop_takes_what_fits_its_turn(
    estimate: RunEstimate, waiting: int, spent: float, *, fits: bool, full: bool
) -> None:
    assert fits_turn(NOW, waiting, spent, estimate) == fits
    assert is_full(NOW, waiting, spent, estimate) == full


@pytest.mark.parametrize(
    ("estimate", "rows", "spent", "batch", "inline"),
    [
        (QUICK, (1, 1, 1), 0.0, 1, True),
        (QUICK, (1, 1, 1), TURN_SECONDS, 3, False),  # merged as far as handing over pays
        (QUICK, (5, 1), 0.0, 1, False),  # by itself it is longer than a short run
        (AWAY, (1, 1, 1), 0.0, 3, False),
        (HEAVY, (1, 1, 1), 0.0, 1, False),
        (RunEstimate(LatencyModel(1e-4, 1e-5), 8), (3, 3, 3), 0.0, 2, True),
    ],
)
def test_the_next_run_is_as_large_and_made_where_the_estimate_says(
    estimate: RunEstimate, rows: tuple[int, ...], spent: float, batch: int, *, inline: bool
) -> None:
    waiting = deque(queued(each) for each in rows)
    run = next_run(waiting, sum(rows), NOW, spent, estimate)
    assert (len(run.batch), run.rows, run.inline, run.expired) == (batch, sum(rows[:batch]), inline, [])
    assert len(waiting) == len(rows) - batch


def test_the_loop_looks_again_at_the_earliest_deadline_of_those_who_still_wait() -> None:
    gone, soon, late, patient = (queued(deadline=each) for each in (NOW - 1, NOW, NOW + 1, None))
    gone.cancel()
    assert earliest_deadline((late, gone, patient, soon)) == NOW
    assert earliest_deadline((patient,)) == earliest_deadline(()) == math.inf
    assert expired_at(NOW, (late, soon, patient)) == [soon]
