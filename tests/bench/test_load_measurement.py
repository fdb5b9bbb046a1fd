"""Percentiles, histograms, and when the generator is the limit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.bench.load import Load
from septet.bench.load_measurement import Measurement, histogram, latency, measured
from septet.bench.recording import Recorder, joined


def summed(
    *times: float, lag: float = 0.0, cpu_share: float = 0.1, failed: int = 0, rate: float | None = 10.0
) -> Measurement:
    recorder = Recorder()
    for time in times:
        recorder.answered += 1
        recorder.response.append(time)
        recorder.service.append(time)
        recorder.lag.append(lag)
    for number in range(failed):
        recorder.fail("status 503", f"busy {number}")
    return measured(Load(1, 2.0, rate=rate), recorder.recording(2.0, cpu_share))


def test_a_percentile_is_the_smallest_time_that_its_share_does_not_exceed() -> None:
    found = latency(np.arange(1, 101) / 1000).percentiles
    assert (found["p50"], found["p90"], found["p99"], found["max"]) == (0.05, 0.09, 0.099, 0.1)


def test_a_percentile_of_few_is_one_of_them() -> None:
    found = latency(np.array([0.3, 0.1])).percentiles
    assert (found["p50"], found["p99"]) == (0.1, 0.3)


def test_nothing_has_no_percentiles() -> None:
    found = latency(np.empty(0))
    assert (found.count, found.mean, found.percentiles["p99"]) == (0, None, None)
    assert histogram(np.empty(0)) == []


@given(st.lists(st.floats(1e-6, 100), min_size=1, max_size=300))
def test_every_time_is_counted_below_its_bound(times: list[float]) -> None:
    found = histogram(np.array(times))
    assert sum(count for _, count in found) == len(times)
    for bound in (bound for bound, _ in found):
        below = sum(count for each, count in found if each <= bound)
        assert below == sum(time <= bound * (1 + 1e-9) for time in times)


def test_the_throughput_counts_right_answers_only() -> None:
    found = summed(0.1, 0.2, failed=2)
    assert (found.throughput, found.error_share) == (1.0, 0.5)
    assert found.examples == {"status 503": "busy 0"}


def test_no_request_at_all_is_no_success() -> None:
    assert summed().error_share == 1.0


@pytest.mark.parametrize(("lag", "cpu_share", "word"), [(0.01, 0.1, "late"), (0.0, 0.95, "busy")])
def test_a_generator_that_is_late_or_busy_is_the_limit(lag: float, cpu_share: float, word: str) -> None:
    (limit,) = summed(0.1, lag=lag, cpu_share=cpu_share).client_limits
    assert word in limit


def test_a_generator_that_keeps_up_is_not() -> None:
    assert summed(0.1, lag=0.001).client_limits == ()


def test_recordings_of_processes_are_joined_without_loss() -> None:
    recorders = [Recorder(), Recorder()]
    for at, recorder in enumerate(recorders):
        recorder.answered = at + 1
        recorder.response.append(0.1 * at)
        recorder.give_up("timeout", f"example {at}", 1.0, 1.0)
        recorder.give_up("not sent", "late", 2.0, None)
    both = joined([recorders[0].recording(1.0, 0.2), recorders[1].recording(1.5, 0.1)])
    assert both.answered == 3
    assert sorted(both.response) == [0.0, 0.1, 1.0, 1.0, 2.0, 2.0]
    assert list(both.service) == [1.0, 1.0]
    assert both.errors == {"timeout": 2, "not sent": 2}
    assert both.examples["timeout"] == "example 0"
    assert (both.elapsed, both.cpu_share) == (1.5, 0.2)
