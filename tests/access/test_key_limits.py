"""How much a key may ask."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.access.api_keys import ApiKey
from septet.access.key_limits import KeyLimits
from septet.errors import RateLimited
from septet.monitoring.key_usage import KeyUsage
from tests.budgets import examples


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(rate: float | None = None, in_flight: int | None = None, name: str = "shop") -> ApiKey:
    return ApiKey(name, (b"",), rate, in_flight)


def admitted(limits: KeyLimits, asked: ApiKey, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            limits.release(limits.admit(asked))
        except RateLimited:
            continue
        count += 1
    return count


@settings(max_examples=examples(50))
@given(st.integers(1, 500))
def test_a_second_of_requests_is_let_in_at_once_and_then_by_the_rate(rate: int) -> None:
    clock = Clock()
    limits = KeyLimits(KeyUsage(shared=False).claim(), clock=clock)
    assert admitted(limits, key(rate), 2 * rate + 5) == rate
    clock.now += 1.0
    assert admitted(limits, key(rate), 2 * rate + 5) in (rate - 1, rate)  # the clock is a float
    clock.now += 60.0
    assert admitted(limits, key(rate), 2 * rate + 5) == rate


def test_a_rate_below_one_lets_one_in_and_says_when_to_come_back() -> None:
    clock = Clock()
    limits = KeyLimits(KeyUsage(shared=False).claim(), clock=clock)
    assert admitted(limits, key(0.1), 5) == 1
    with pytest.raises(RateLimited) as caught:
        limits.admit(key(0.1))
    assert caught.value.retry_after == 10
    clock.now += 10.0
    assert admitted(limits, key(0.1), 5) == 1


def test_requests_in_flight_are_counted_over_all_processes() -> None:
    usage = KeyUsage(2)
    one, other = (KeyLimits(usage.claim(slot)) for slot in range(2))
    entry = one.admit(key(in_flight=2))
    other.admit(key(in_flight=2))
    with pytest.raises(RateLimited, match="shop"):
        other.admit(key(in_flight=2))
    one.release(entry)
    other.admit(key(in_flight=2))
    usage.release(1)  # that process has ended
    one.admit(key(in_flight=2))
    one.admit(key(in_flight=2))


def test_keys_have_limits_of_their_own() -> None:
    limits = KeyLimits(KeyUsage(shared=False).claim())
    limits.admit(key(in_flight=1, name="one"))
    limits.admit(key(in_flight=1, name="other"))
    with pytest.raises(RateLimited):
        limits.admit(key(in_flight=1, name="one"))
