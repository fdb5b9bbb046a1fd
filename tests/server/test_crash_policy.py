import pytest

from septet.server.crash_policy import (
    LIMIT_PER_WORKER,
    LONGEST_DELAY_SECONDS,
    LONGEST_START_DELAY_SECONDS,
    UNREADY_LIMIT,
    WINDOW_SECONDS,
    CrashPolicy,
)


def test_the_first_crashes_are_replaced_at_once() -> None:
    crashes = CrashPolicy(workers=2)

    assert [crashes.crashed(now, was_ready=True) for now in (1.0, 2.0, 3.0, 4.0)] == [0, 0, 0, 0]


def test_more_crashes_are_replaced_more_slowly_but_within_seconds() -> None:
    crashes = CrashPolicy(workers=1)

    delays = [crashes.crashed(0.0, was_ready=True) for _ in range(10)]

    assert delays == sorted(delays, key=lambda delay: delay or 0)
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_old_crashes_are_forgotten() -> None:
    crashes = CrashPolicy(workers=1)
    for _ in range(LIMIT_PER_WORKER - 1):
        crashes.crashed(0.0, was_ready=True)

    assert crashes.crashed(WINDOW_SECONDS + 1, was_ready=True) == 0


def test_too_many_crashes_within_the_window_are_given_up() -> None:
    crashes = CrashPolicy(workers=1)

    delays = [crashes.crashed(0.0, was_ready=True) for _ in range(LIMIT_PER_WORKER)]

    assert None not in delays[:-1]
    assert delays[-1] is None
    assert "20 workers crashed within 60 seconds" in crashes.reason


def test_workers_that_are_never_ready_are_given_up_sooner() -> None:
    crashes = CrashPolicy(workers=4)

    delays = [crashes.crashed(float(now), was_ready=False) for now in range(UNREADY_LIMIT)]

    assert all(delays[:-1])
    assert delays[-1] is None
    assert "5 workers in a row died before they were ready" in crashes.reason


def test_workers_that_cannot_start_are_tried_more_and_more_seldom_while_others_answer() -> None:
    crashes = CrashPolicy(workers=1)

    delays = [crashes.crashed(0.0, was_ready=False, others_answer=True) for _ in range(2 * LIMIT_PER_WORKER)]

    assert delays[:3] == [0.2, 0.4, 0.8]
    assert delays[-1] == LONGEST_START_DELAY_SECONDS


@pytest.mark.parametrize("others_answer", [True, False])
@pytest.mark.parametrize("attempts", [UNREADY_LIMIT, 3000])
def test_a_worker_that_answered_is_replaced_though_another_cannot_start(attempts: int, others_answer: bool) -> None:  # noqa: FBT001
    crashes = CrashPolicy(workers=4)
    for _ in range(attempts):
        crashes.crashed(0.0, was_ready=False, others_answer=True)

    assert crashes.crashed(1.0, was_ready=True, others_answer=others_answer) == LONGEST_DELAY_SECONDS


def test_crashes_of_many_workers_by_requests_end_nothing() -> None:
    crashes = CrashPolicy(workers=1)

    assert [crashes.crashed(0.0, was_ready=True, by_request=True) for _ in range(2000)][-1] == LONGEST_DELAY_SECONDS


def test_a_worker_that_becomes_ready_starts_the_count_anew() -> None:
    crashes = CrashPolicy(workers=4)
    for now in range(UNREADY_LIMIT - 1):
        crashes.crashed(float(now), was_ready=False)

    crashes.became_ready()

    assert crashes.crashed(5.0, was_ready=False) is not None


def test_what_callers_send_never_ends_the_server() -> None:
    crashes = CrashPolicy(workers=1)

    delays = [crashes.crashed(0.0, was_ready=True, by_request=True) for _ in range(3 * LIMIT_PER_WORKER)]

    assert None not in delays
    assert delays[-1] == LONGEST_DELAY_SECONDS
