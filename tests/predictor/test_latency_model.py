"""What a run is expected to take follows what runs took."""

import math

import pytest

from septet.predictor.latency_model import (
    FIRST_LEAVE_SECONDS,
    INLINE_SECONDS,
    LONG_SECONDS,
    LONGEST_HANDOVER_SECONDS,
    LONGEST_LEAVE_SECONDS,
    MEMORY,
    MOST_LONG,
    LatencyModel,
    RunEstimate,
    cold_estimate,
)

NOW = 100.0
QUICK = RunEstimate(LatencyModel(1e-5, 1e-6), 64)


def test_rows_are_merged_as_far_as_it_pays() -> None:
    assert LatencyModel(1e-5, 0.0).worthwhile(256) == 256
    assert LatencyModel(2**-17, 2**-20).worthwhile(256) == 128
    assert LatencyModel(2**-17, 2**-20).worthwhile(64) == 64
    assert LatencyModel(0.0, 0.01).worthwhile(256, 0.0003) == 1
    assert LatencyModel(0.01, 0.001).worthwhile(256, 0.0003) == 165


def test_so_many_rows_are_over_within_a_time() -> None:
    assert LatencyModel(0.25, 0.125).rows_within(1.0) == 6.0
    assert LatencyModel(0.25, 0.0).rows_within(0.25) == math.inf
    assert LatencyModel(2.0, 0.0).rows_within(1.0) == -math.inf
    assert LatencyModel(2.0, 0.5).rows_within(1.0) < 0.0


@pytest.mark.parametrize(
    ("latency", "rows", "before", "short"),
    [
        (LatencyModel(INLINE_SECONDS, 0.0), 9, 0.0, True),
        (LatencyModel(0.0, INLINE_SECONDS), 1, NOW, True),
        (LatencyModel(0.0, INLINE_SECONDS), 2, 0.0, False),
        (LatencyModel(0.0, 0.0), 1, NOW + 1, False),
    ],
)
def test_a_run_is_short_by_its_rows_and_while_none_is_kept_from_the_loop(
    latency: LatencyModel, rows: int, before: float, *, short: bool
) -> None:
    assert RunEstimate(latency, 64, not_inline_before=before).is_short(NOW, rows) == short


def test_runs_leave_the_loop_when_so_many_in_a_row_took_long_and_for_longer_each_time() -> None:
    estimate, left = QUICK, []
    for _ in range(8):
        for _ in range(MOST_LONG):
            assert estimate.is_short(NOW, 1)
            estimate = estimate.after_inline_run(NOW, 2 * LONG_SECONDS)
        left.append(estimate.not_inline_before - NOW)
        estimate = estimate.relearned(QUICK.latency, 64)
    assert left[:3] == [FIRST_LEAVE_SECONDS, 2 * FIRST_LEAVE_SECONDS, 4 * FIRST_LEAVE_SECONDS]
    assert left[-1] == LONGEST_LEAVE_SECONDS


def test_a_short_run_between_long_ones_begins_the_count_anew() -> None:
    long = QUICK.after_inline_run(NOW, 2 * LONG_SECONDS)
    assert (long.long_runs, long.after_inline_run(NOW, LONG_SECONDS)) == (1, QUICK)
    assert QUICK.after_inline_run(NOW, LONG_SECONDS) is QUICK


def test_slowness_and_handover_follow_the_runs_in_the_thread() -> None:
    estimate = RunEstimate(LatencyModel(0.0, 1.0), 4, handover=0.0)
    after = estimate.after_thread_run(2, 4.0, 1.0)
    assert after.slowness == pytest.approx(1 + MEMORY)
    assert after.handover == pytest.approx(MEMORY * LONGEST_HANDOVER_SECONDS)
    assert after.thread_seconds(1) == pytest.approx(1 + MEMORY + after.handover)
    assert cold_estimate().after_thread_run(1, 5.0, 0.0).slowness == 1.0


def test_runs_in_the_thread_grow_with_what_handing_them_over_takes() -> None:
    estimate = RunEstimate(LatencyModel(0.0, 0.002), 64)
    assert estimate.thread_rows == 3
    for _ in range(50):
        estimate = estimate.after_thread_run(3, 0.006, 0.002)
    assert (estimate.inline_rows, estimate.thread_rows) == (1, 16)


def test_a_cold_model_never_runs_on_the_loop_and_learns() -> None:
    cold = cold_estimate()
    assert not cold.is_short(1e9, 1)
    assert cold.relearned(LatencyModel(1.0, 0.0), 1, inline=False).not_inline_before == math.inf
    warm = cold.relearned(LatencyModel(0.0, 1e-6), 64)
    assert warm.is_short(0.0, 64)
    assert (warm.max_batch_rows, warm.thread_rows) == (64, 64)
