"""Request counters that are right across worker processes, without locks and without a writable directory.

The parent makes one anonymous shared mapping before it forks: a row of float64 cells for each worker slot. A worker
writes to its own row only (from its event loop's thread), and any worker may read all rows and add them up. The row
outlives its process: a replacement goes on counting where the dead one stopped, so counters never decrease, while
the gauges are cleared. An aligned float64 is stored at once, so a reader sees the old number or the new one. What a
turn of the event loop answers is counted at its end: a worker that is killed within a turn takes that count with it.
"""

import mmap

import msgspec
import numpy as np
from numpy.typing import NDArray

from septet.monitoring.key_usage import KeyUsage
from septet.monitoring.metrics_layout import (
    ANSWERED_SECONDS,
    BATCH_BUCKETS,
    BATCH_SUM,
    BEAT,
    CELL_BYTES,
    CONNECTIONS,
    DECODE_SECONDS,
    ENCODE_SECONDS,
    EXECUTIONS,
    IN_FLIGHT,
    LAST_ANSWER,
    LISTENING,
    LOAD_SECONDS,
    OWNER,
    PROCESS_CELLS,
    QUEUE_SECONDS,
    RESTARTS,
    ROWS,
    RUN_SECONDS,
    SECONDS_BOUNDS,
    STARTUP_SECONDS,
    MetricsLayout,
)
from septet.monitoring.worker_metrics import WorkerMetrics, clear_gauges

# A worker is crowded with more connections than another by a part and a few.
MORE, SLACK = 1.125, 1.0

Numbers = NDArray[np.float64]


class MetricsSnapshot(msgspec.Struct, frozen=True):
    """All rows added up. The first axis of the arrays is the model, in the order of `count_models`; 0 is for none.

    Attributes:
        routes, codes: the names of the axes below.
        model_routes: those of the routes that belong to a model.
        requests: finished requests, [models, routes, codes].
        seconds_buckets: requests by latency, [models, routes, SECONDS_BOUNDS + 1], not cumulative.
        seconds_sums: seconds, [models, routes].
        batch_buckets: requests by the rows of the run they shared, [models, ROWS_BOUNDS + 1], not cumulative.
        batch_sum: the sum of those rows, [models].
        decode_seconds, queue_seconds, run_seconds, encode_seconds: of predictions that were answered, summed over
            requests, [models]; a run that several shared counts for each of them.
        answered_seconds: from the complete request to the complete answer, of the same.
        last_answer: when the last of them was answered, in seconds since 1970; 0 for never, [models].
        rows: rows predicted, [models].
        executions: runs of the model, [models].
        restarts: workers replaced after a crash or a hang.
        workers: processes that hold a row now.
        workers_ready: those of them that have loaded the models.
        in_flight: requests they have not finished.
        connections: open to them.
        load_seconds, startup_seconds: the longest of these processes.
    """

    routes: tuple[str, ...]
    codes: tuple[str, ...]
    model_routes: frozenset[str]
    requests: Numbers
    seconds_buckets: Numbers
    seconds_sums: Numbers
    batch_buckets: Numbers
    batch_sum: Numbers
    decode_seconds: Numbers
    queue_seconds: Numbers
    run_seconds: Numbers
    encode_seconds: Numbers
    answered_seconds: Numbers
    last_answer: Numbers
    rows: Numbers
    executions: Numbers
    restarts: float
    workers: int
    workers_ready: int
    in_flight: float
    connections: float
    load_seconds: float
    startup_seconds: float


class SharedMetrics:
    """Rows for `slots` worker processes in one anonymous shared mapping; make it before forking.

    Attributes:
        key_usage: what callers have used of their API keys, for the same slots.
    """

    def __init__(self, layout: MetricsLayout, slots: int = 1) -> None:
        self._layout = layout
        self._slots = slots
        self.key_usage = KeyUsage(slots)
        # The row after the last slot is the parent's own.
        self._cells = memoryview(mmap.mmap(-1, (slots + 1) * layout.cells * CELL_BYTES)).cast("d")

    @property
    def slots(self) -> int:
        """How many processes can count at once."""
        return self._slots

    def claim(self, slot: int = 0) -> WorkerMetrics:
        """The calling process counts in this slot from now on; no other living process may hold it."""
        return WorkerMetrics(self._layout, self._row(slot))

    def release(self, slot: int) -> None:
        """Clear the gauges of a slot whose process is gone; its counters stay."""
        clear_gauges(self._row(slot))
        self.key_usage.release(slot)

    def beat(self, slot: int, now: float) -> None:
        """Note that the slot's process is alive at `now`, in seconds on the monotonic clock."""
        self._cells[slot * self._layout.cells + BEAT] = now

    def last_beat(self, slot: int) -> float:
        """When the slot's process was last known to be alive, in monotonic seconds; 0 for never."""
        return self._cells[slot * self._layout.cells + BEAT]

    def connected(self, slot: int, connections: int, *, listening: bool) -> None:
        """Note how many connections the slot's process has, and whether it accepts more."""
        start = slot * self._layout.cells
        self._cells[start + CONNECTIONS] = connections
        self._cells[start + LISTENING] = listening

    def crowded(self, slot: int) -> bool:
        """Whether another process that accepts connections has clearly fewer of them than the slot's."""
        cells, width = self._cells, self._layout.cells
        mine = cells[slot * width + CONNECTIONS]
        return any(
            cells[start + LISTENING] and mine > cells[start + CONNECTIONS] * MORE + SLACK
            for start in range(0, self._slots * width, width)
        )

    def restarted(self) -> None:
        """Count a replaced worker. For the parent only."""
        self._cells[self._slots * self._layout.cells + RESTARTS] += 1.0

    def snapshot(self) -> MetricsSnapshot:
        """Add up the rows of all processes, dead ones included."""
        rows = np.array(self._cells, dtype=np.float64).reshape(self._slots + 1, self._layout.cells)
        return add_up(self._layout, rows)

    def _row(self, slot: int) -> "memoryview[float]":
        return self._cells[slot * self._layout.cells : (slot + 1) * self._layout.cells]


def add_up(layout: MetricsLayout, rows: Numbers) -> MetricsSnapshot:
    """Add up rows of cells, [rows, layout.cells]; gauges count only where a row has an owner."""
    total = rows.sum(axis=0)
    owned = rows[rows[:, OWNER] != 0]
    models, routes, codes = layout.blocks, len(layout.routes), len(layout.codes)
    blocks = total[PROCESS_CELLS:].reshape(models, layout.block)
    latest = rows[:, PROCESS_CELLS:].reshape(len(rows), models, layout.block)[:, :, LAST_ANSWER]
    buckets = blocks[:, layout.seconds : layout.seconds_sums]
    return MetricsSnapshot(
        routes=layout.routes,
        codes=layout.codes,
        model_routes=layout.model_routes,
        requests=blocks[:, layout.requests : layout.seconds].reshape(models, routes, codes),
        seconds_buckets=buckets.reshape(models, routes, len(SECONDS_BOUNDS) + 1),
        seconds_sums=blocks[:, layout.seconds_sums :],
        batch_buckets=blocks[:, BATCH_BUCKETS : layout.requests],
        batch_sum=blocks[:, BATCH_SUM],
        decode_seconds=blocks[:, DECODE_SECONDS],
        queue_seconds=blocks[:, QUEUE_SECONDS],
        run_seconds=blocks[:, RUN_SECONDS],
        encode_seconds=blocks[:, ENCODE_SECONDS],
        answered_seconds=blocks[:, ANSWERED_SECONDS],
        last_answer=latest.max(axis=0, initial=0.0),
        rows=blocks[:, ROWS],
        executions=blocks[:, EXECUTIONS],
        restarts=float(total[RESTARTS]),
        workers=len(owned),
        workers_ready=int(np.count_nonzero(owned[:, STARTUP_SECONDS])),
        in_flight=float(owned[:, IN_FLIGHT].sum()),
        connections=float(owned[:, CONNECTIONS].sum()),
        load_seconds=float(owned[:, LOAD_SECONDS].max(initial=0.0)),
        startup_seconds=float(owned[:, STARTUP_SECONDS].max(initial=0.0)),
    )
