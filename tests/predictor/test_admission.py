"""Who may wait follows from the time, the estimate and what waits."""

import pytest

from septet.predictor.admission import (
    DEADLINE_SAFETY_FACTOR,
    GROUP_REFUSALS,
    MOST_GROUPS,
    expected_wait,
    queue_full,
    refusal,
    refusals_due,
)
from septet.predictor.latency_model import LatencyModel, RunEstimate, cold_estimate

NOW = 100.0
# Two rows a run, a second each; handing over takes nothing.
ESTIMATE = RunEstimate(LatencyModel(0.0, 1.0), 2, handover=0.0)


@pytest.mark.parametrize(
    ("free_at", "waiting_rows", "slowness", "seconds"),
    [
        (NOW - 5, 0, 1.0, 0.0),
        (NOW + 0.5, 0, 1.0, 0.5),
        (NOW + 0.5, 3, 1.0, 3.5),
        (NOW + 0.5, 3, 2.0, 6.5),
        (NOW - 5, 3, 1.0, 3.0),
    ],
)
def test_the_wait_is_the_run_under_way_and_those_of_the_rows_that_wait(
    free_at: float, waiting_rows: int, slowness: float, seconds: float
) -> None:
    estimate = RunEstimate(ESTIMATE.latency, 2, slowness=slowness, handover=0.0)
    assert expected_wait(NOW, free_at, waiting_rows, estimate) == pytest.approx(seconds)


def test_each_run_of_those_that_wait_is_handed_over() -> None:
    estimate = RunEstimate(LatencyModel(0.5, 0.25), 2, handover=0.125)
    assert expected_wait(NOW, NOW, 5, estimate) == 3 * (0.5 + 0.125) + 5 * 0.25


@pytest.mark.parametrize(
    ("wait", "rows", "seconds", "retry_after"),
    [
        (0.0, 1, DEADLINE_SAFETY_FACTOR, None),
        (0.0, 1, DEADLINE_SAFETY_FACTOR - 0.01, 1),
        (2.4, 1, 3.4 * DEADLINE_SAFETY_FACTOR + 0.01, None),
        (2.4, 1, 3.4, 3),
        (2.4, 2, 3.4 * DEADLINE_SAFETY_FACTOR, 3),
        (1000.0, 1, None, None),
    ],
)
def test_a_request_that_would_be_late_is_refused_and_told_when_to_come_back(
    wait: float, rows: int, seconds: float | None, retry_after: int | None
) -> None:
    deadline = None if seconds is None else NOW + seconds
    error = refusal(NOW, deadline, rows, wait, ESTIMATE)
    assert (None if error is None else error.retry_after) == retry_after
    if error is not None:
        assert f"about {wait:.1f} s" in error.message


def test_nobody_is_refused_for_a_wait_that_is_not_known() -> None:
    estimate = cold_estimate()
    assert (
        refusal(
            NOW, NOW + 0.001, 1000, expected_wait(NOW, NOW, 1000, estimate) - estimate.queue_seconds(1000), estimate
        )
        is None
    )


def test_a_full_queue_says_how_many_wait() -> None:
    assert "7 requests wait already" in queue_full(7).message


@pytest.mark.parametrize(
    ("held", "due"),
    [
        (0, 0),
        (1, 1),
        (GROUP_REFUSALS, GROUP_REFUSALS),
        (GROUP_REFUSALS + 1, GROUP_REFUSALS),
        (MOST_GROUPS * GROUP_REFUSALS, GROUP_REFUSALS),
        (MOST_GROUPS * GROUP_REFUSALS + 1, GROUP_REFUSALS + 1),
        (MOST_GROUPS * 100, 100),
    ],
)
def test_refusals_leave_the_model_its_time_and_none_waits_long(held: int, due: int) -> None:
    assert refusals_due(held) == due
