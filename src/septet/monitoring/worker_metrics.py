"""What one process counts: the observer passes it the events of each turn of the event loop, at its end.

To count a request costs a tenth of answering one with a small model, most of it the way to the counter and back. So
what a turn brings is kept, and passed on at its end in one call. What a turn of the event loop answers is counted at
its end: a worker that is killed within a turn takes that count with it.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from septet.events import Finished
from septet.monitoring.metrics_layout import (
    ANSWERED_SECONDS,
    BATCH_BUCKETS,
    BATCH_SUM,
    DECODE_SECONDS,
    ENCODE_SECONDS,
    EXECUTIONS,
    GAUGES,
    IN_FLIGHT,
    LAST_ANSWER,
    LOAD_SECONDS,
    OTHER,
    OWNER,
    QUEUE_SECONDS,
    ROWS,
    ROWS_BOUNDS,
    RUN_SECONDS,
    SECONDS_BOUNDS,
    STARTUP_SECONDS,
    UNMATCHED,
    MetricsLayout,
)
from septet.types import Identity

_SUMS = (
    *(DECODE_SECONDS, QUEUE_SECONDS, RUN_SECONDS, ENCODE_SECONDS, ANSWERED_SECONDS),
    *(ROWS, EXECUTIONS, BATCH_SUM),
)


class TurnObserver(Protocol):
    """A listener to the events of a turn. It must neither block nor raise.

    Attributes:
        least_status: answers of a lower status are not passed on; 0 for all, and for the number of arrivals.
    """

    least_status: int

    def turned(self, started: int, finished: Sequence[Finished]) -> None:
        """So many requests have arrived, and these have been answered."""


class TurnObservers:
    """An `Observer` for the event loop's thread, where it passes on what happens at the end of the turn."""

    def __init__(self, *listeners: TurnObserver) -> None:
        self._listeners = listeners
        self._started = 0
        self._finished: list[Finished] = []
        self._due = False

    def started(self) -> None:
        """A request has arrived."""
        self._started += 1
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def finished(self, event: Finished) -> None:
        """A request has been answered."""
        self._finished.append(event)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        started, finished = self._started, self._finished
        self._started, self._finished, self._due = 0, [], False
        for listener in self._listeners:
            least = listener.least_status
            if least == 0:
                listener.turned(started, finished)
            elif wanted := [event for event in finished if event.status >= least]:
                listener.turned(0, wanted)


class WorkerMetrics:
    """Counts the requests of a process into one row of cells. Call it from one thread only."""

    least_status = 0

    def __init__(self, layout: MetricsLayout, cells: "memoryview[float]") -> None:
        """Take over a row (float64, `layout.cells` long): its counters stay, its gauges are cleared."""
        self._cells = cells
        self._layout = layout
        self._no_model = _Block(layout, 0)
        # By name.
        self._models: dict[str, _Block] = {}
        clear_gauges(cells)
        cells[OWNER] = os.getpid()

    def count_models(self, names: Sequence[str]) -> None:
        """Give each of these models a block of its own; all processes must name them in the same order.

        What is answered by a model that has none is counted with the requests for no model.
        """
        self._models = {name: _Block(self._layout, at) for at, name in enumerate(names, 1) if at < self._layout.blocks}

    def turned(self, started: int, finished: Sequence[Finished]) -> None:
        """Count requests that have arrived, and those that were answered."""
        self._cells[IN_FLIGHT] += started - len(finished)
        # Those of a turn are mostly of one model.
        while finished:
            finished = self._count(finished[0].model, finished)

    def _count(self, model: Identity | None, finished: Sequence[Finished]) -> Sequence[Finished]:
        """Count what was answered for this model, and return the others. Sums first: a cell takes longer to change."""
        block = self._no_model if model is None else self._models.get(model.name, self._no_model)
        cells, start, routes, unmatched = self._cells, block.start, block.routes, block.unmatched
        decode = queue = run = encode = answered = executions = alike = spent = 0.0
        rows = batch_sum = shared = bucket = 0
        # The requests of a turn are mostly of one kind, and of one run: `alike` of one kind came so far, in `spent`.
        route = code = None
        buckets, total = unmatched[1:]
        count = total
        others: list[Finished] = []
        for event in finished:
            if event.model is not model:
                others.append(event)
                continue
            if event.route is not route or event.code is not code:
                cells[count] += alike
                cells[total] += spent
                alike = spent = 0.0
                route, code = event.route, event.code
                by_code, buckets, total = routes.get(route, unmatched)
                count = by_code.get(code) or by_code[OTHER]
            seconds = event.seconds
            alike += 1.0
            spent += seconds
            cells[buckets + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
            if batch_rows := event.batch_rows:
                decode += event.decode_seconds
                queue += event.queue_seconds
                run += event.run_seconds
                encode += event.encode_seconds
                answered += seconds
                own = event.rows
                rows += own
                # Each of the requests that shared a run counts its share of it.
                executions += own / batch_rows
                batch_sum += batch_rows
                if batch_rows != shared:
                    shared, bucket = batch_rows, start + BATCH_BUCKETS + bisect_left(ROWS_BOUNDS, batch_rows)
                cells[bucket] += 1.0
        cells[count] += alike
        cells[total] += spent
        if rows:
            self._add(start, (decode, queue, run, encode, answered, rows, executions, batch_sum))
        return others

    def _add(self, start: int, sums: Sequence[float]) -> None:
        """Add to the sums of the model whose block begins here."""
        cells = self._cells
        for at, amount in zip(_SUMS, sums, strict=True):
            cells[start + at] += amount
        cells[start + LAST_ANSWER] = time.time()

    def loaded(self, *, load_seconds: float, startup_seconds: float) -> None:
        """Note how long loading the models took, and the whole start of this process."""
        self._cells[LOAD_SECONDS] = load_seconds
        self._cells[STARTUP_SECONDS] = startup_seconds


class _Block:
    """Where the counters of one model stand."""

    def __init__(self, layout: MetricsLayout, block: int) -> None:
        self.start = layout.start(block)
        self.routes = layout.request_cells(block)
        self.unmatched = self.routes[UNMATCHED]


def clear_gauges(cells: "memoryview[float]") -> None:
    """Forget the process that held this row."""
    for gauge in range(GAUGES):
        cells[gauge] = 0.0
