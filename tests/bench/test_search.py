"""The search for the highest rate, on servers that are functions."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.bench.search import MOST_TRIALS, PRECISION, RateVerdict, Trial, next_step


def searched(meets: Callable[[float, int], bool], start: float = 100.0) -> tuple[RateVerdict, list[Trial]]:
    trials: list[Trial] = []
    while not isinstance(step := next_step(trials, start), RateVerdict):
        trials.append(Trial(step, meets(step, len(trials))))
    return step, trials


@given(capacity=st.floats(2, 1e6), start=st.floats(1, 1e4))
def test_the_highest_rate_is_found_within_the_precision(capacity: float, start: float) -> None:
    verdict, trials = searched(lambda rate, _: rate <= capacity, start)
    if verdict.confirmed:
        assert verdict.rate is not None
        assert verdict.rate <= capacity <= verdict.rate * PRECISION
        assert [trial.rate for trial in trials if trial.met].count(verdict.rate) == 2
    else:
        assert len(trials) == MOST_TRIALS


def test_a_rate_that_was_broken_by_bad_luck_is_not_too_high() -> None:
    verdict, _ = searched(lambda rate, number: rate <= 300 and number != 1)
    assert verdict.rate == pytest.approx(300, rel=0.06)


def test_a_server_that_meets_its_objectives_every_other_time_ends_the_search() -> None:
    verdict, trials = searched(lambda _, number: number % 2 == 1)
    assert not verdict.confirmed
    assert len(trials) <= MOST_TRIALS


def test_a_server_that_meets_nothing_ends_the_search() -> None:
    verdict, trials = searched(lambda _, __: False)
    assert verdict == RateVerdict(None, confirmed=False)
    assert trials[-1].rate == 1.0


def test_a_rate_that_was_met_by_luck_is_not_the_answer() -> None:
    lucky: list[float] = []

    def meets(rate: float, _: int) -> bool:
        if rate <= 300:
            return True
        if rate <= 390 and rate not in lucky:
            lucky.append(rate)
            return True
        return False

    verdict, _ = searched(meets)
    assert lucky
    assert verdict.confirmed
    assert verdict.rate == pytest.approx(300, rel=0.06)


def test_a_server_without_a_limit_ends_the_search_too() -> None:
    verdict, trials = searched(lambda _, __: True)
    assert len(trials) == MOST_TRIALS
    assert verdict == RateVerdict(trials[-1].rate, confirmed=False)
