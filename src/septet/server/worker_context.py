"""What a worker process is given by its parent, and its line back."""

import contextlib
import os
import socket
import time
from collections.abc import Sequence

from septet.monitoring.shared_metrics import SharedMetrics
from septet.predictor.run_record import RunRecord

READY, FAILED, STUCK = b"R", b"F", b"S"
LONGEST_MESSAGE_BYTES = 32768


class WorkerContext:
    """A worker's place among the others.

    Attributes:
        index: from 0; the same for a worker and its replacement.
        slot: its row of the shared metrics; no other living process has it.
        sockets: bound and listening, shared with the other workers.
        shared_metrics: shared with the other workers and the parent.
        run_record: shared with them as well.
        first: no worker was ready before it was made.
    """

    def __init__(
        self,
        index: int,
        slot: int,
        sockets: Sequence[socket.socket],
        shared_metrics: SharedMetrics,
        pipe: int,
        run_record: RunRecord,
        *,
        first: bool = True,
    ) -> None:
        self.index = index
        self.slot = slot
        self.sockets = sockets
        self.shared_metrics = shared_metrics
        self.first = first
        self.run_record = run_record
        self._pipe = pipe

    def ready(self) -> None:
        """Tell the parent that this worker answers; from now on it must `beat`."""
        self.beat()
        self._send(READY)

    def fail(self, message: str) -> None:
        """Tell the parent why this worker cannot start; the worker then returns 2."""
        self._send(FAILED + message.encode(errors="backslashreplace")[:LONGEST_MESSAGE_BYTES])

    def stuck(self) -> None:
        """Tell the parent that a run does not end, and that another worker must take this one's place."""
        self._send(STUCK)

    def beat(self) -> None:
        """Show that the event loop is alive; call it every second."""
        self.shared_metrics.beat(self.slot, time.monotonic())

    def _send(self, message: bytes) -> None:
        # Without a parent nobody listens, and the process is about to end.
        with contextlib.suppress(OSError):
            os.write(self._pipe, message)
