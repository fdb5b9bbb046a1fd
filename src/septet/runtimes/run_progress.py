"""How code that computes an answer tells how much of it is done.

Whoever wants to know gives the request a `report`. What runs for the request, such as preprocessing code, finds it in
its context, and calls `report_progress` without knowing whether anybody listens. A thread that such code starts itself
has another context, unless it runs in a copy of this one (`contextvars.copy_context`), as `asyncio.to_thread` does.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import SupportsFloat

from septet.types import Report, Request

#: Of the requests that this code runs for, those that are listened to.
_REPORTS: ContextVar[tuple[Report, ...]] = ContextVar("REPORTS", default=())


def report_progress(done: SupportsFloat) -> None:
    """Tell which part of the answer is computed, from 0 to 1, to the jobs that this code runs for.

    `GET /job/{id}` shows it, a few times a second at most. For a request that is answered at once nothing happens. It
    returns at once and raises nothing: a number below 0 counts as 0, one above 1 as 1, and what is no number, or NaN,
    is ignored.
    """
    reports = _REPORTS.get()
    if not reports:
        return
    try:
        part = float(done)
    except Exception:  # noqa: BLE001 - a run must not fail for what it tells of itself
        return
    if not math.isnan(part):
        for report in reports:
            report(min(1.0, max(0.0, part)))


@contextmanager
def reporting(requests: Sequence[Request]) -> Iterator[None]:
    """What runs in this context meanwhile runs for these requests."""
    token = _REPORTS.set(tuple(each.report for each in requests if each.report is not None))
    try:
        yield
    finally:
        _REPORTS.reset(token)
