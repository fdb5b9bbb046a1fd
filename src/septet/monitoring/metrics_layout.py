"""Where each number of a worker stands in its row of float64 cells.

Models, routes and codes are closed lists, so that every cell's place is known before the first request and counting is
an addition in place. A row begins with what is of the process: the first `GAUGES` cells describe the process that holds
the row now and are cleared when it is gone; all others only ever grow, whoever holds the row. Behind it stands one
block of counters for each model, with the same places in each; the first block is of requests for no model.
"""

import hashlib
from collections.abc import Iterable

OWNER, BEAT, IN_FLIGHT, LOAD_SECONDS, STARTUP_SECONDS, LISTENING, CONNECTIONS = range(7)
GAUGES = 7
RESTARTS = GAUGES
#: Cells of the process, before the first block.
PROCESS_CELLS = GAUGES + 1

#: Places in a block.
ROWS, EXECUTIONS, BATCH_SUM, DECODE_SECONDS, QUEUE_SECONDS, RUN_SECONDS, ENCODE_SECONDS, ANSWERED_SECONDS = range(8)
LAST_ANSWER = 8
BATCH_BUCKETS = 9

#: Upper bounds, inclusive: 100 microseconds (a small model answered inline) to 30 seconds (the default deadline).
SECONDS_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)

UNMATCHED = "unmatched"
OTHER = "other"
CELL_BYTES = 8


class MetricsLayout:
    """The places of all cells of one row, for given routes and codes and a number of models.

    Requests of an unlisted route count as `unmatched`, answers with an unlisted code as `other`.

    Attributes:
        model_routes: those of the routes that belong to a model.
        blocks: one more than the models: the first is of requests for none.
        block: cells of a block.
        requests, seconds, seconds_sums: where in a block they begin: requests by route and code, latency buckets by
            route, sums of seconds by route.
        cells: of the whole row.
    """

    def __init__(
        self, routes: Iterable[str], codes: Iterable[str], models: int = 1, *, model_routes: Iterable[str] = ()
    ) -> None:
        self.model_routes = frozenset(model_routes)
        self.routes = _distinct(routes, UNMATCHED)
        self.codes = _distinct(codes, OTHER)
        self.requests = BATCH_BUCKETS + len(ROWS_BOUNDS) + 1
        self.seconds = self.requests + len(self.routes) * len(self.codes)
        self.seconds_sums = self.seconds + len(self.routes) * (len(SECONDS_BOUNDS) + 1)
        self.block = self.seconds_sums + len(self.routes)
        self.blocks = models + 1
        self.cells = PROCESS_CELLS + self.blocks * self.block

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ where the meaning of any cell differs."""
        meaning = repr((self.routes, self.codes, self.blocks, SECONDS_BOUNDS, ROWS_BOUNDS, BATCH_BUCKETS))
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]

    def start(self, block: int) -> int:
        """Where a block begins."""
        return PROCESS_CELLS + block * self.block

    def request_cells(self, block: int) -> dict[str, tuple[dict[str, int], int, int]]:
        """Each route's cells: of its codes, the first of its latency buckets, and of its sum of seconds."""
        width, start = len(SECONDS_BOUNDS) + 1, self.start(block)
        return {
            route: (
                {code: start + self.requests + at * len(self.codes) + column for column, code in enumerate(self.codes)},
                start + self.seconds + at * width,
                start + self.seconds_sums + at,
            )
            for at, route in enumerate(self.routes)
        }


def _distinct(names: Iterable[str], last: str) -> tuple[str, ...]:
    return (*dict.fromkeys(name for name in names if name != last), last)
