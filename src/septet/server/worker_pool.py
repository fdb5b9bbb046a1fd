"""The worker processes that live now, as their parent sees them."""

import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence

import msgspec

from septet.monitoring.shared_metrics import SharedMetrics
from septet.predictor.run_record import RunRecord
from septet.server.release_messages import FromWorker, ToWorker
from septet.server.worker_context import FAILED, MESSAGE, READY, STUCK, WorkerContext
from septet.server.worker_fork import StartWorker, fork

CHUNK_BYTES = 65536
#: A worker that is asked to leave before it has its own handler ends by the signal; so do some servers after draining.
CLEAN_EXITS = (0, -signal.SIGTERM)


class WorkerProcess:
    """One worker process.

    Attributes:
        ready_at: in monotonic seconds; None before.
        stop_by: when it is killed, in monotonic seconds, once it was asked to stop; None before.
        stuck: it has said that a run in it does not end.
        renewals: how often another was to take its place for that.
        renew_at: when the next one may, in monotonic seconds.
        hung: it was killed because its event loop hung.
        pipe_closed: the worker has closed its end of the pipe.
        failure: why it could not start, in its own words; None where it did.
        generation: how many releases were committed when it was started.
        exit_code: negative for the signal that ended it.
    """

    def __init__(self, context: WorkerContext, pid: int, pipe: int, generation: int = 0) -> None:
        self.index = context.index
        self.slot = context.slot
        self.pid = pid
        self.pipe = pipe
        self.ready_at: float | None = None
        self.stop_by: float | None = None
        self.stuck = False
        self.renewals = 0
        self.renew_at = 0.0
        self.hung = False
        self.pipe_closed = False
        self.exit_code = 0
        self.failure: str | None = None
        self.generation = generation
        self._received = b""

    def read_pipe(self, now: float) -> list[FromWorker]:
        """Read what the worker tells: that it is ready, why it cannot start, and what this returns, about releases."""
        with contextlib.suppress(BlockingIOError):
            while not self.pipe_closed:
                received = b""
                with contextlib.suppress(ConnectionResetError):  # it has ended with something unread
                    received = os.read(self.pipe, CHUNK_BYTES)
                self.pipe_closed = not received
                self._received += received
        *lines, self._received = self._received.split(b"\n")
        messages: list[FromWorker] = []
        for line in lines:
            kind, text = line[:1], line[1:]
            if kind == READY:
                self.ready_at = now
            elif kind == FAILED:
                self.failure = msgspec.json.decode(text, type=str)
            elif kind == STUCK:
                self.stuck = True
            elif kind == MESSAGE:
                messages.append(msgspec.json.decode(text, type=FromWorker))
        return messages

    def send(self, message: ToWorker) -> None:
        """Tell it something about a release."""
        # A worker that has ended, or does not read, takes part in no release.
        with contextlib.suppress(OSError):
            os.write(self.pipe, msgspec.json.encode(message) + b"\n")

    @property
    def clean(self) -> bool:
        """Whether it ended as it should."""
        return self.exit_code in CLEAN_EXITS

    @property
    def exit_reason(self) -> str:
        """How it ended, in words for the log."""
        if self.hung:
            return "stood still and was killed"
        if self.failure is not None:
            return f"could not start: {self.failure}"
        when = "" if self.ready_at is not None else " before it was ready"
        if self.exit_code < 0:
            return f"was ended by signal {-self.exit_code} ({signal.strsignal(-self.exit_code)}){when}"
        return f"exited with code {self.exit_code}{when}"

    def stop(self, stop_by: float) -> None:
        """Ask it to finish its requests and leave by then."""
        self.stop_by = stop_by
        self._signal(signal.SIGTERM)

    def dismiss(self) -> None:
        """Ask it to finish its requests and leave, so that another takes its place."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # It is our child and not yet waited for, so the process id cannot have become another's.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class WorkerPool:
    """Starts and reaps workers, and lends each a slot of the shared metrics.

    Attributes:
        workers: that live now.
        run_record: what they run.
    """

    def __init__(self, start: StartWorker, sockets: Sequence[socket.socket], shared_metrics: SharedMetrics) -> None:
        self._start = start
        self._sockets = sockets
        self._shared_metrics = shared_metrics
        self.run_record = RunRecord(shared_metrics.slots)
        self._free = deque(range(shared_metrics.slots))
        self._answered = False
        self._parent_pipe, self._parent_pipe_end = os.pipe()
        self.workers: list[WorkerProcess] = []

    def spawn(self, index: int, parent_descriptors: Sequence[int], generation: int = 0) -> WorkerProcess:
        """Fork a worker; `parent_descriptors` are descriptors of the parent that the child must not keep.

        `generation` is how many releases were committed until now.

        Raises:
            OSError: the system has no process or pipe to spare.
        """
        own, theirs = (end.detach() for end in socket.socketpair())
        os.set_blocking(own, False)
        self._answered = self._answered or any(worker.ready_at is not None for worker in self.workers)
        first = not self._answered
        context = WorkerContext(
            index, self._free[0], self._sockets, self._shared_metrics, theirs, self.run_record, first=first
        )
        others = [worker.pipe for worker in self.workers]
        try:
            pid = fork(
                self._start,
                context,
                parent_pipe=self._parent_pipe,
                parent_descriptors=[*parent_descriptors, *others, own, self._parent_pipe_end],
            )
        except OSError:
            os.close(own)
            raise
        finally:
            os.close(theirs)
        worker = WorkerProcess(context, pid, own, generation)
        self._free.popleft()
        self.workers.append(worker)
        return worker

    def reap(self, now: float) -> list[WorkerProcess]:
        """Remove the workers that have ended, and close their pipes."""
        ended = [worker for worker in self.workers if _has_ended(worker)]
        for worker in ended:
            worker.read_pipe(now)
            self._answered = self._answered or worker.ready_at is not None
            os.close(worker.pipe)
            self.workers.remove(worker)
            self._shared_metrics.release(worker.slot)
            self._free.appendleft(worker.slot)
        return ended

    def close(self) -> None:
        """Close the pipe with which the workers would end; only after they have ended."""
        os.close(self._parent_pipe)
        os.close(self._parent_pipe_end)


def _has_ended(worker: WorkerProcess) -> bool:
    pid, status = os.waitpid(worker.pid, os.WNOHANG)
    if pid:
        worker.exit_code = os.waitstatus_to_exitcode(status)
    return bool(pid)
