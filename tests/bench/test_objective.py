"""What is demanded of a measurement."""

import pytest

from septet.bench.objective import objectives, violations
from septet.errors import Invalid
from tests.bench.test_load_measurement import summed


def test_objectives_are_read_apart_by_commas_and_by_repetition() -> None:
    found = objectives(["p99<20ms, mean<1500us", "errors<1%"])
    assert [(each.what, round(each.limit, 6)) for each in found] == [("p99", 0.02), ("mean", 0.0015), ("errors", 0.01)]


def test_errors_are_limited_where_nothing_is_said_of_them() -> None:
    assert objectives(["max<1s"])[-1].text == "errors<0.1%"
    assert objectives([]) == ()


@pytest.mark.parametrize("text", ["", "p99", "p99<20", "p98<20ms", "p99>20ms", "errors<5ms", "p99<1%", "p99<-1ms"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"objective|errors are limited"):
        objectives([text])


def test_a_measurement_within_its_limits_breaks_nothing() -> None:
    assert violations(objectives(["p99<200ms", "mean<200ms"]), summed(0.1, 0.1)) == ()


def test_a_broken_limit_is_named_with_what_was_measured() -> None:
    assert violations(objectives(["p50<50ms"]), summed(0.1)) == ("p50<50ms: 100.000 ms",)
    assert violations(objectives(["p50<500ms"]), summed(0.1, failed=1)) == ("errors<0.1%: 50.000%",)


def test_a_closed_loop_that_the_client_limits_proves_nothing() -> None:
    assert violations(objectives(["p50<500ms"]), summed(0.1, cpu_share=0.99, rate=None)) == (
        "client-limited, so it proves nothing",
    )
    assert violations((), summed(0.1, cpu_share=0.99, rate=None)) == ()


def test_an_open_loop_counts_what_the_client_adds_so_what_is_met_is_met() -> None:
    late = summed(0.1, lag=0.05)
    assert late.client_limits
    assert violations(objectives(["p50<500ms"]), late) == ()
    assert violations(objectives(["p50<50ms"]), late) == ("p50<50ms: 100.000 ms (client-limited)",)


def test_no_answer_breaks_even_no_objective() -> None:
    assert violations((), summed(failed=3)) == ("nothing was answered",)
