"""Requests that wait for a run, and which of them may be taken next."""

import math
from collections import deque
from collections.abc import Callable, Hashable
from typing import TypeAlias

import msgspec

from septet.errors import DeadlineExceeded, SeptetError
from septet.types import Request, Response

Done: TypeAlias = Callable[[Response | Exception], None]


class QueuedRequest(msgspec.Struct, gc=False, eq=False):
    """A request that waits.

    Attributes:
        request: what is wanted.
        done: who wants the answer; None where nobody does any more.
        key: requests of equal keys may share a run.
        arrived: in monotonic seconds.
    """

    request: Request
    done: Done | None
    key: Hashable
    arrived: float

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.done = None

    def settle(self, outcome: Response | Exception) -> None:
        """Give the answer to who waits for it."""
        done, self.done = self.done, None
        if done is not None:
            done(outcome)


def take(
    waiting: "deque[QueuedRequest]", now: float, max_rows: int, seconds: Callable[[int], float]
) -> tuple[list[QueuedRequest], list[QueuedRequest]]:
    """Remove from `waiting` the next batch, and the tickets that expired before it.

    The batch is the first live ticket and those right behind it of the same key, up to `max_rows` rows, and as long as
    the run of so many rows, which takes `seconds`, ends before the earliest deadline among them; a first ticket of more
    rows is a batch by itself. Cancelled tickets are dropped.
    """
    batch: list[QueuedRequest] = []
    expired: list[QueuedRequest] = []
    key: Hashable = None
    looked = rows = 0
    earliest = math.inf
    longest = now + seconds(max_rows)
    for ticket in waiting:
        if ticket.done is not None:
            request = ticket.request
            until = request.deadline
            if until is None or until > earliest:
                until = earliest
            if until <= now:
                expired.append(ticket)
                looked += 1
                continue
            more = rows + request.rows
            if not batch:
                key = ticket.key
            elif ticket.key != key or more > max_rows or (until < longest and until < now + seconds(more)):
                break
            rows, earliest = more, until
            batch.append(ticket)
        looked += 1
    if looked == len(waiting):
        waiting.clear()
    else:
        for _ in range(looked):
            waiting.popleft()
    return batch, expired


def of(request: Request, error: SeptetError) -> SeptetError:
    """The error, with the id of the request at fault."""
    error.request_id = request.id
    return error


def late() -> DeadlineExceeded:
    """The error of a request whose time is over."""
    return DeadlineExceeded("The answer was not ready before the request's deadline.")
