"""The worker processes that live now, as their parent sees them."""

import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence

from septet.monitoring.shared_metrics import SharedMetrics
from septet.server.worker_context import FAILED, READY, WorkerContext
from septet.server.worker_fork import Start, fork

CHUNK_BYTES = 65536
#: A worker that is asked to leave before it has its own handler ends by the signal; so do some servers after draining.
CLEAN = (0, -signal.SIGTERM)


class Worker:
    """One worker process.

    Attributes:
        ready_at: in monotonic seconds; None before.
        leave_by: when it is killed, once it was told to stop; None before.
        hung: it was killed for standing still.
        pipe_closed: its pipe has ended.
        exit_code: negative for the signal that ended it.
    """

    def __init__(self, context: WorkerContext, pid: int, pipe: int) -> None:
        self.index = context.index
        self.slot = context.slot
        self.pid = pid
        self.pipe = pipe
        self.ready_at: float | None = None
        self.leave_by: float | None = None
        self.hung = False
        self.pipe_closed = False
        self.exit_code = 0
        self._told = b""

    def listen(self, now: float) -> bool:
        """Read what the worker tells; true when it has just become ready."""
        with contextlib.suppress(BlockingIOError):
            while not self.pipe_closed:
                told = os.read(self.pipe, CHUNK_BYTES)
                self.pipe_closed = not told
                self._told += told
        if self.ready_at is None and self._told.startswith(READY):
            self.ready_at = now
            self._told = self._told.removeprefix(READY)
            return True
        return False

    @property
    def failure(self) -> str | None:
        """Why it could not start, in its own words."""
        return self._told[len(FAILED) :].decode(errors="replace") if self._told.startswith(FAILED) else None

    @property
    def clean(self) -> bool:
        """Whether it ended as it should."""
        return self.exit_code in CLEAN

    @property
    def exit_reason(self) -> str:
        """How it ended, for people."""
        if self.hung:
            return "stood still and was killed"
        if self.failure is not None:
            return f"could not start: {self.failure}"
        when = "" if self.ready_at is not None else " before it was ready"
        if self.exit_code < 0:
            return f"was ended by signal {-self.exit_code} ({signal.strsignal(-self.exit_code)}){when}"
        return f"exited with code {self.exit_code}{when}"

    def stop(self, leave_by: float) -> None:
        """Ask it to finish its requests and leave by then."""
        self.leave_by = leave_by
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # It is our child and not yet waited for, so the process id cannot have become another's.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class WorkerPool:
    """Starts and reaps workers, and lends each a slot of the shared metrics."""

    def __init__(self, start: Start, sockets: Sequence[socket.socket], shared_metrics: SharedMetrics) -> None:
        self._start = start
        self._sockets = sockets
        self._shared_metrics = shared_metrics
        self._free = deque(range(shared_metrics.slots))
        self._answered = False
        self._life, self._end_of_life = os.pipe()
        self.workers: list[Worker] = []

    def spawn(self, index: int, foreign: Sequence[int]) -> Worker:
        """Fork a worker; `foreign` are descriptors of the parent that the child must not keep.

        Raises:
            OSError: the system has no process or pipe to spare.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._answered = self._answered or any(worker.ready_at is not None for worker in self.workers)
        first = not self._answered
        context = WorkerContext(index, self._free[0], self._sockets, self._shared_metrics, writing, first=first)
        others = [worker.pipe for worker in self.workers]
        try:
            pid = fork(self._start, context, life=self._life, foreign=[*foreign, *others, reading, self._end_of_life])
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        worker = Worker(context, pid, reading)
        self._free.popleft()
        self.workers.append(worker)
        return worker

    def reap(self, now: float) -> list[Worker]:
        """Take leave of the workers that have ended. Their pipes are closed."""
        ended = [worker for worker in self.workers if _has_ended(worker)]
        for worker in ended:
            worker.listen(now)
            self._answered = self._answered or worker.ready_at is not None
            os.close(worker.pipe)
            self.workers.remove(worker)
            self._shared_metrics.release(worker.slot)
            self._free.appendleft(worker.slot)
        return ended

    def close(self) -> None:
        """Close what the workers' lives hang on; only after they have ended."""
        os.close(self._life)
        os.close(self._end_of_life)


def _has_ended(worker: Worker) -> bool:
    pid, status = os.waitpid(worker.pid, os.WNOHANG)
    if pid:
        worker.exit_code = os.waitstatus_to_exitcode(status)
    return bool(pid)
