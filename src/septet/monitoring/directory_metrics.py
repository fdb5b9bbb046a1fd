"""The metrics of worker processes that other servers start: a file of cells for each, in a directory they share.

A process holds its file by a lock that the system drops when the process ends, however it ends. So a file that can be
locked is a dead process's: its counters count, its gauges do not, and the next process may take it over. There are
never more files than there were processes at once. POSIX only, as `flock` is.
"""

import fcntl
import hashlib
import itertools
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from septet.errors import StartupError
from septet.monitoring.metrics_layout import CELL_BYTES, GAUGES, MetricsLayout
from septet.monitoring.shared_metrics import MetricsSnapshot, Numbers, add_up
from septet.monitoring.worker_metrics import WorkerMetrics


class DirectoryMetrics:
    """Counts of all processes that share a directory, a layout, and the names of the models that they count."""

    def __init__(self, layout: MetricsLayout, directory: Path, models: Sequence[str] = ()) -> None:
        self._layout = layout
        self._directory = directory
        # A block belongs to the model at its place in the list: other models have other files.
        of_models = hashlib.sha256(repr(tuple(models)).encode()).hexdigest()[:8]
        self._stem = f"septet-{layout.fingerprint}-{of_models}"

    def claim(self) -> WorkerMetrics:
        """The calling process counts from now on. Call it after the server has forked, once in a process.

        Raises:
            StartupError: the directory cannot be made or written to.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            held = next(filter(None, map(self._hold, itertools.count())))
        except OSError as error:
            raise StartupError(
                f"cannot keep metrics in {self._directory}: {error.strerror}; name a directory that the server may "
                "write to, or none to count each process alone"
            ) from error
        return WorkerMetrics(self._layout, memoryview(held).cast("d"))

    def snapshot(self) -> MetricsSnapshot:
        """Add up the files of all processes, dead ones included."""
        rows = [
            row for path in self._directory.glob(f"{self._stem}-*.metrics") if (row := self._read(path)) is not None
        ]
        return add_up(self._layout, np.array(rows, dtype=np.float64).reshape(len(rows), self._layout.cells))

    @property
    def _size(self) -> int:
        return self._layout.cells * CELL_BYTES

    def _hold(self, number: int) -> mmap.mmap | None:
        path = self._directory / f"{self._stem}-{number}.metrics"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _lock(descriptor, fcntl.LOCK_EX):
                return None
            os.ftruncate(descriptor, self._size)
            # The mapping keeps a duplicate of the descriptor, and with it the lock, as long as it lives.
            return mmap.mmap(descriptor, self._size)
        finally:
            os.close(descriptor)

    def _read(self, path: Path) -> Numbers | None:
        with path.open("rb") as file:
            cells = np.frombuffer(file.read(), dtype=np.uint8)
            if len(cells) != self._size:
                # Just created by a process that has not yet sized it.
                return None
            row: Numbers = cells.view(np.float64).copy()
            if _lock(file.fileno(), fcntl.LOCK_SH):
                row[:GAUGES] = 0.0
        return row


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
