"""Which of the requests that wait run now, and where: functions of what is passed in, no more."""

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable

import msgspec

from septet.predictor.latency_model import RunEstimate
from septet.predictor.queued_request import QueuedRequest

# What waits is run on the loop where its runs, and those of the same turn before, take no longer together.
TURN_SECONDS = 0.005


class PlannedRun(msgspec.Struct, frozen=True, gc=False):
    """The next run: its requests, their rows, whether it is made on the loop, and who expired before it."""

    batch: list[QueuedRequest]
    rows: int
    inline: bool
    expired: list[QueuedRequest]


def fits_turn(now: float, waiting_rows: int, spent: float, estimate: RunEstimate) -> bool:
    """Whether all rows that wait may be run on the loop, of whose turn runs have taken `spent` seconds already."""
    runs = -(-waiting_rows // estimate.inline_rows)
    return estimate.is_short(now, 1) and spent + estimate.latency.seconds(waiting_rows, runs) <= TURN_SECONDS


def is_full(now: float, waiting_rows: int, spent: float, estimate: RunEstimate) -> bool:
    """Whether a run is full: to wait for the end of the turn would gain nothing, and hold up the first of many."""
    return waiting_rows >= estimate.inline_rows and (
        waiting_rows >= estimate.thread_rows or fits_turn(now, waiting_rows, spent, estimate)
    )


def next_run(
    waiting: "deque[QueuedRequest]", waiting_rows: int, now: float, spent: float, estimate: RunEstimate
) -> PlannedRun:
    """Remove from `waiting`, whose requests have so many rows together, those of the next run, and who expired."""
    fits = fits_turn(now, waiting_rows, spent, estimate)
    most_rows = estimate.inline_rows if fits else estimate.thread_rows
    batch, expired = next_batch(waiting, now, most_rows, estimate.thread_seconds)
    rows = sum([queued.request.rows for queued in batch])
    return PlannedRun(batch, rows, fits and estimate.is_short(now, rows), expired)


def next_batch(
    waiting: "deque[QueuedRequest]", now: float, max_rows: int, seconds: Callable[[int], float]
) -> tuple[list[QueuedRequest], list[QueuedRequest]]:
    """Remove from `waiting` the next batch, and the requests that expired before it.

    The batch is the first live request and those right behind it of the same key, up to `max_rows` rows, and as long as
    the run of so many rows, which takes `seconds`, ends before the earliest deadline among them; a first request of
    more rows is a batch by itself. Cancelled requests are dropped.
    """
    batch: list[QueuedRequest] = []
    expired: list[QueuedRequest] = []
    key: Hashable = None
    looked = rows = 0
    earliest = math.inf
    longest = now + seconds(max_rows)
    for queued in waiting:
        if queued.done is not None:
            request = queued.request
            until = request.deadline
            if until is None or until > earliest:
                until = earliest
            if until <= now:
                expired.append(queued)
                looked += 1
                continue
            more = rows + request.rows
            if not batch:
                key = queued.key
            elif queued.key != key or more > max_rows or (until < longest and until < now + seconds(more)):
                break
            rows, earliest = more, until
            batch.append(queued)
        looked += 1
    if looked == len(waiting):
        waiting.clear()
    else:
        for _ in range(looked):
            waiting.popleft()
    return batch, expired


def earliest_deadline(queued: Iterable[QueuedRequest]) -> float:
    """When the first of the requests that are still wanted expires, in monotonic seconds; infinite where none does."""
    deadlines = [
        each.request.deadline for each in queued if each.request.deadline is not None and each.done is not None
    ]
    return min(deadlines, default=math.inf)


def expired_at(now: float, queued: Iterable[QueuedRequest]) -> list[QueuedRequest]:
    """Those whose deadline has passed."""
    return [each for each in queued if each.request.deadline is not None and each.request.deadline <= now]
