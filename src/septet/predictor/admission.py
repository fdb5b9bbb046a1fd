"""Which requests may wait for a run, and when those that may not are told: functions of what is passed in, no more."""

import math

from septet.errors import Overloaded
from septet.predictor.latency_model import RunEstimate

# Estimates are not that exact, and a machine that others share slows down by a third within a second: a request is
# refused where it would not be answered in time with so much to spare.
DEADLINE_SAFETY_FACTOR = 1.5
#: While requests are refused, those that come are let in, and told, in groups: so long after each other.
GROUP_SECONDS = 0.004
#: The refusals of a group: callers who ask again at once could otherwise take the whole core from the model.
GROUP_REFUSALS = 12
#: The groups after which the last of those that were refused together is told.
MOST_GROUPS = 25

#: After how many seconds to ask again where a run does not end: the process is replaced, or the run ends after all.
UNENDED_RETRY_SECONDS = 5


def queue_full(max_pending: int) -> Overloaded:
    """The refusal of a request that comes when as many wait as may."""
    return Overloaded(f"{max_pending} requests wait already. Try again in a moment.")


def unended(seconds: float) -> Overloaded:
    """The refusal of a request behind a run that does not end, though nobody waits for it any more."""
    text = f"The model is held up by a run that has not ended for {seconds:.1f} s. Try again in a moment."
    return Overloaded(text, UNENDED_RETRY_SECONDS)


def expected_wait(now: float, free_at: float, waiting_rows: int, estimate: RunEstimate) -> float:
    """The seconds until the run under way, which ends at `free_at`, and those of the rows that wait are over."""
    return max(0.0, free_at - now) + estimate.queue_seconds(waiting_rows)


def refusal(now: float, deadline: float | None, rows: int, wait: float, estimate: RunEstimate) -> Overloaded | None:
    """Why a request of so many rows, which has to wait that long, is refused; None where it can be in time."""
    if deadline is None or now + DEADLINE_SAFETY_FACTOR * (wait + estimate.thread_seconds(rows)) <= deadline:
        return None
    text = f"Those that wait already take about {wait:.1f} s, longer than this request's deadline allows."
    return Overloaded(text, max(1, math.ceil(wait)))


def refusals_due(held: int) -> int:
    """How many of the refusals that are held back are told with this group."""
    return min(held, max(GROUP_REFUSALS, -(-held // MOST_GROUPS)))
