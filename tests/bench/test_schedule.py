"""When requests are due."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from septet.bench.load import Load, share
from septet.bench.schedule import due_times


def test_a_closed_loop_has_no_schedule() -> None:
    assert list(due_times(Load(4, 1.0))) == []


def test_a_constant_rate_is_evenly_spaced_over_warm_up_and_duration() -> None:
    times = due_times(Load(4, 1.5, rate=10.0, warmup=0.5))
    assert np.allclose(times, np.arange(20) / 10)


def test_processes_take_turns() -> None:
    load = Load(4, 1.0, rate=10.0)
    parts = [due_times(share(load, index, 2), index / 2) for index in range(2)]
    assert np.allclose(sorted([*parts[0], *parts[1]]), due_times(load))


def test_random_arrivals_have_the_rate_and_the_spread_of_independent_callers() -> None:
    times = np.array(due_times(Load(4, 100.0, rate=200.0, arrivals="poisson", seed=1)))
    gaps = np.diff(times)
    assert abs(len(times) / 100 - 200) < 5
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05


def test_random_arrivals_of_two_processes_differ() -> None:
    load = Load(4, 5.0, rate=100.0, arrivals="poisson")
    assert due_times(share(load, 0, 2)) != due_times(share(load, 1, 2))


@given(
    rate=st.floats(0.1, 500), seconds=st.floats(0.1, 3), warmup=st.floats(0, 1), seed=st.integers(0, 99),
    phase=st.floats(0, 0.99),
)  # fmt: skip
def test_requests_are_due_in_order(rate: float, seconds: float, warmup: float, seed: int, phase: float) -> None:
    constant = due_times(Load(1, seconds, rate=rate, warmup=warmup), phase)
    random = due_times(Load(1, seconds, rate=rate, warmup=warmup, arrivals="poisson", seed=seed))
    for times in (constant, random):
        assert sorted(times) == list(times)
    assert all(0 <= time < warmup + seconds for time in random)


@given(connections=st.integers(1, 100), processes=st.integers(1, 8))
def test_the_shares_of_processes_are_the_whole(connections: int, processes: int) -> None:
    parts = [share(Load(connections, 1.0, rate=80.0), index, processes) for index in range(processes)]
    assert sum(part.connections for part in parts) == max(connections, processes)
    assert abs(sum(part.rate or 0 for part in parts) - 80) < 1e-9
