"""When a call is tried again: within its deadline, with jitter, and out of the client's budget."""

import pytest

from septet.errors import DeadlineExceeded, Invalid, Unavailable
from septet.remote.remote_calls import CallFailure
from septet.remote.retries import FIRST_PAUSE, LONGEST_PAUSE, Attempts, RetryBudget

DOWN = CallFailure(Unavailable("It is down."), retryable=True)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(clock: Clock, *, retries: int = 3, timeout: float = 10.0, budget: RetryBudget | None = None) -> Attempts:
    return Attempts(retries, timeout, budget or RetryBudget(), clock, lambda: 1.0)


def pauses_of(call: Attempts) -> int:
    """How often a call that always fails is tried again."""
    pauses = 0
    try:
        while True:
            call.pause(DOWN)
            pauses += 1
    except Unavailable:
        return pauses


def test_the_seconds_of_an_attempt_are_those_left_of_the_call() -> None:
    clock = Clock()
    call = attempts(clock, timeout=2.0)
    assert call.seconds() == 2.0
    clock.now += 1.5
    assert call.seconds() == pytest.approx(0.5)
    clock.now += 0.5
    with pytest.raises(DeadlineExceeded, match="within 2 seconds"):
        call.seconds()


def test_pauses_grow_to_a_longest_one() -> None:
    call = attempts(Clock(), retries=9, timeout=1000.0)
    pauses = [call.pause(DOWN) for _ in range(9)]
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == LONGEST_PAUSE


def test_pauses_are_spread_over_their_whole_length() -> None:
    call = Attempts(1, 10.0, RetryBudget(), Clock(), lambda: 0.0)
    assert call.pause(DOWN) == 0.0


def test_a_server_that_asks_for_time_is_given_it() -> None:
    assert attempts(Clock()).pause(CallFailure(DOWN.error, retryable=True, after=4.0)) == 4.0 + FIRST_PAUSE


def test_the_failure_itself_is_raised_where_the_pause_would_outlast_the_deadline() -> None:
    with pytest.raises(Unavailable, match="It is down"):
        attempts(Clock(), timeout=4.0).pause(CallFailure(DOWN.error, retryable=True, after=4.0))


def test_the_failure_itself_is_raised_where_the_pause_did_outlast_the_deadline() -> None:
    clock = Clock()
    call = attempts(clock, timeout=2.0)
    call.pause(DOWN)
    clock.now += 2.5  # the machine was busy
    with pytest.raises(Unavailable, match="It is down"):
        call.seconds()
    with pytest.raises(DeadlineExceeded):
        call.seconds()


def test_a_call_is_tried_again_as_often_as_it_may_be() -> None:
    call = attempts(Clock(), retries=2)
    call.pause(DOWN)
    call.pause(DOWN)
    with pytest.raises(Unavailable):
        call.pause(DOWN)


def test_what_is_not_safe_is_never_tried_again() -> None:
    budget = RetryBudget(limit=1.0)
    with pytest.raises(Invalid):
        attempts(Clock(), budget=budget).pause(CallFailure(Invalid("Wrong.")))
    assert budget.spend(), "it must not have cost a retry"


def test_retries_of_all_calls_together_stay_a_tenth_of_the_calls() -> None:
    clock, budget = Clock(), RetryBudget()
    spent, calls = 0, 2_000
    for _ in range(calls):
        call = attempts(clock, retries=1000, timeout=1e9, budget=budget)
        spent += pauses_of(call)
    assert calls / 10 - 1 <= spent <= calls / 10 + 10


def test_the_budget_of_a_quiet_time_is_bounded() -> None:
    budget = RetryBudget(limit=2.0)
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]
