"""How long an answer that did not arrive waits."""

import random

from hypothesis import given
from hypothesis import strategies as st

from septet.queues.job_store import StoreLimits
from septet.sinks.delivery_delay import delivery_delay


@given(st.randoms(use_true_random=False))
def test_all_attempts_lie_within_the_time_of_a_delivery_and_bridge_an_outage_of_hours(chance: random.Random) -> None:
    limits = StoreLimits()
    whole = sum(delivery_delay(attempt, None, chance) for attempt in range(1, limits.delivery_attempts))
    assert 8 * 3600 <= whole <= limits.delivery_seconds


@given(st.integers(1, 1000), st.floats(0, 3600), st.randoms(use_true_random=False))
def test_a_sink_can_ask_for_more_time_and_not_for_less(attempt: int, asked: float, chance: random.Random) -> None:
    delay = delivery_delay(attempt, asked, chance)
    assert asked <= delay <= 36_000
    assert delay >= 2.5
