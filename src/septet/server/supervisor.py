"""The parent of several worker processes on one listening socket.

It handles no request and knows no model. It waits until a signal arrives, a worker writes to its pipe or a deadline
passes, and then decides: a crashed worker is replaced at once while the others answer (more slowly if it keeps
crashing, until the parent gives up; one that cannot start is tried again for as long as others answer); a worker whose
event loop hangs is killed and replaced; one that tells of a run which does not end is renewed: its replacement is ready
before it is asked to stop. A release is prepared by all workers and then switched to by all, see `ReleaseCoordinator`;
SIGHUP releases what has changed on disk. SIGTERM, SIGINT and SIGQUIT end all of them, requests first; SIGUSR1 and
SIGUSR2 do nothing.
"""

import logging
import math
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from septet.errors import StartupError
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.server.crash_policy import LONGEST_DELAY_SECONDS, CrashPolicy, start_delay
from septet.server.prompt_end import INTERRUPTED
from septet.server.release_coordinator import ReleaseCoordinator, ServedFiles
from septet.server.release_messages import ToWorker
from septet.server.wakeups import Wakeups
from septet.server.worker_fork import StartWorker
from septet.server.worker_pool import WorkerPool, WorkerProcess

LOGGER = "septet"
TICK_SECONDS = 1.0
#: From the end of the workers' own grace period to the kill; with it, all have ended within a second.
KILL_DELAY_SECONDS = 0.8


class SupervisionPolicy(msgspec.Struct, frozen=True):
    """How workers are kept.

    Attributes:
        workers: how many, at least 1.
        grace_seconds: for finishing requests after SIGTERM.
        hang_seconds: a ready worker that has not beaten for so long is replaced.
        poison_seconds: for how long runs are watched after a crash, and what caused two is refused.
        patient: from which worker on, by its index, `patient_seconds` holds in place of `hang_seconds`; None for none.
    """

    workers: int
    grace_seconds: float
    hang_seconds: float = 60.0
    poison_seconds: float = 600.0
    patient: int | None = None
    patient_seconds: float = 0.0

    def hang_seconds_of(self, index: int) -> float:
        """How long a worker may stand still."""
        return self.hang_seconds if self.patient is None or index < self.patient else self.patient_seconds


def supervise(
    start: StartWorker,
    on_ready: Callable[[], None],
    *,
    sockets: Sequence[socket.socket],
    layout: MetricsLayout,
    policy: SupervisionPolicy,
    files: ServedFiles,
    on_look: Callable[[], None] = lambda: None,
) -> int:
    """Run `start` in each of `policy.workers` processes until told to stop, and return the exit code.

    0: all workers finished their requests; 1: some were killed, or crashed too often; 130: a second interrupt ended
    them at once. `on_ready` is called once, when all workers are ready for the first time. `files` are those of the
    models. `on_look` is called when these are looked at, which is every second and on SIGHUP. The sockets are closed
    when the end begins. For the main thread of a process that has no other threads.

    Raises:
        StartupError: a worker could not start (its message, once), or this system cannot fork.
    """
    if sys.platform == "win32":
        raise StartupError(
            "septet serve needs a system that can fork, and Windows cannot: mount septet.asgi in another server"
        )
    # One slot more than workers: a renewed worker and its predecessor run at the same time.
    shared_metrics = SharedMetrics(layout, policy.workers + 1)
    with Wakeups() as wakeups:
        pool = WorkerPool(start, sockets, shared_metrics)
        supervisor = _Supervisor(pool, policy, shared_metrics, wakeups, files, on_look)
        supervisor.serve(on_ready)
        for listening in sockets:
            # New connections are refused at once, rather than left in a backlog that nobody accepts.
            listening.close()
        return supervisor.drain()


class _Supervisor:
    """The decisions. Times are in monotonic seconds."""

    def __init__(
        self,
        pool: WorkerPool,
        policy: SupervisionPolicy,
        shared_metrics: SharedMetrics,
        wakeups: Wakeups,
        files: ServedFiles,
        on_look: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._policy = policy
        self._shared_metrics = shared_metrics
        self._wakeups = wakeups
        self._log = logging.getLogger(LOGGER)
        self._crashes = CrashPolicy(policy.workers)
        self._releases = ReleaseCoordinator(self._tell, files, self._dismiss)
        self._on_look = on_look
        self._due: dict[int, float] = {}
        self._to_renew: deque[WorkerProcess] = deque()
        self._renewal: WorkerProcess | None = None
        # Of workers that cannot be started: the reason that was logged last.
        self._unable: dict[int, str] = {}
        self._announced = self._look_when_ready = False
        self._stopping = False
        self._failure: str | None = None
        self._exit_code = 0
        self._interrupted = False
        self._checked_at = self._not_held_up_since = self._looked_at = time.monotonic()

    def serve(self, on_ready: Callable[[], None]) -> None:
        """Keep the workers until told to stop, or until it makes no sense."""
        self._due = dict.fromkeys(range(self._policy.workers), self._checked_at)
        while not self._stopping:
            self._start_due()
            self._renew_next()
            self._look()
            if not self._announced and self._all_ready():
                self._announced = True
                on_ready()
                if self._look_when_ready:
                    self._look_now()
            # Last: nothing is started or released once it has begun the end.
            self._turn()

    def _look(self) -> None:
        """Look once a second for what has changed on disk."""
        now = time.monotonic()
        if now - self._looked_at >= TICK_SECONDS:
            self._looked_at = now
            self._on_look()
            if self._announced:
                self._releases.look(settled=True)

    def drain(self) -> int:
        """Let the workers finish, and return the exit code."""
        while self._pool.workers:
            self._turn()
        self._pool.close()
        if self._failure is not None:
            raise StartupError(self._failure)
        return INTERRUPTED if self._interrupted else self._exit_code

    def _turn(self) -> None:
        """Wait for something to happen, and deal with it."""
        spoke, signals = self._wakeups.wait(self._pause(time.monotonic()))
        now = time.monotonic()
        for worker in [worker for worker in self._pool.workers if worker.pipe in spoke]:
            self._read_pipe(worker, now)
        for number in signals:
            self._on_signal(number, now)
        for worker in self._reap(now):
            self._on_exit(worker, now)
        self._check_workers(now)

    def _pause(self, now: float) -> float:
        leaving = [worker.stop_by for worker in self._pool.workers if worker.stop_by is not None]
        tick = now + min(TICK_SECONDS, self._policy.hang_seconds / 4)
        return min([tick, *self._due.values(), *leaving]) - now

    def _start_due(self) -> None:
        now = time.monotonic()
        for index in [index for index, due in self._due.items() if due <= now]:
            if self._spawn(index) is None:
                self._due[index] = now + LONGEST_DELAY_SECONDS
            else:
                del self._due[index]

    def _spawn(self, index: int) -> WorkerProcess | None:
        try:
            worker = self._pool.spawn(index, self._wakeups.descriptors, self._releases.generation)
        except OSError as error:
            # The other workers still answer: waiting for the system to recover is better than falling with it.
            self._log_unable(index, f"worker {index} cannot be started now: {error}", str(error))
            return None
        self._wakeups.add(worker.pipe)
        return worker

    def _log_unable(self, index: int, message: str, reason: str) -> None:
        """Log why a worker cannot be started, once for each reason and not for each attempt."""
        if self._unable.get(index) != reason:
            self._unable[index] = reason
            self._log.error("%s", message)

    def _all_ready(self) -> bool:
        return sum(worker.ready_at is not None for worker in self._pool.workers) == self._policy.workers

    def _read_pipe(self, worker: WorkerProcess, now: float) -> None:
        before = worker.ready_at
        messages = worker.read_pipe(now)
        if before is None and worker.ready_at is not None:
            self._crashes.became_ready()
            if self._unable.pop(worker.index, None) is not None:
                self._log.info("worker %d (process %d) has started", worker.index, worker.pid)
            if self._stopping:
                # It may have been asked something since it was told to stop.
                worker.stop_by = self._stop_by(now)
            self._releases.joined(worker.pid, worker.generation)
            if worker is self._renewal:
                self._renewal = None
                self._to_renew.popleft().stop(self._stop_by(now))
        for message in messages:
            self._releases.received(worker.pid, message)
        if worker.stuck:
            self._renew_stuck(worker, now)
        if worker.pipe_closed:
            self._wakeups.remove(worker.pipe)

    def _renew_stuck(self, worker: WorkerProcess, now: float) -> None:
        """Put another in the place of a worker in which a run does not end; it answers what else it can until then."""
        if self._stopping or worker.stop_by is not None or worker in self._to_renew or now < worker.renew_at:
            return
        if not worker.renewals:
            self._log.error("worker %d (process %d) has a run that does not end; renewing it", worker.index, worker.pid)
            self._blame(worker, now)
        worker.renewals += 1
        worker.renew_at = now + start_delay(worker.renewals)
        self._shared_metrics.restarted()
        self._to_renew.append(worker)

    def _blame(self, worker: WorkerProcess, now: float) -> int:
        """Watch what the workers run for a while, and note what this one ran; return how many requests it was."""
        seconds = self._policy.poison_seconds
        if seconds <= 0.0:
            return 0
        record = self._pool.run_record
        record.watch(now + seconds)
        return record.blame(worker.slot, now + seconds)

    def _tell(self, pid: int, message: ToWorker) -> None:
        for worker in self._pool.workers:
            if worker.pid == pid:
                worker.send(message)

    def _dismiss(self, pid: int) -> None:
        """Let a worker finish its requests and end; another takes its place then."""
        for worker in self._pool.workers:
            if worker.pid == pid:
                worker.dismiss()

    def _stop_by(self, now: float) -> float:
        return now + self._policy.grace_seconds + KILL_DELAY_SECONDS

    def _on_signal(self, number: int, now: float) -> None:
        if number == signal.SIGHUP and not self._stopping:
            self._look_now()
        elif number == signal.SIGINT and self._stopping:
            self._interrupted = True
            for worker in self._pool.workers:
                worker.kill()
        elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT) and not self._stopping:
            self._log.info("stopping: requests under way have %g s to finish", self._policy.grace_seconds)
            self._stop(now)

    def _look_now(self) -> None:
        """Look for what has changed; for models that are still being loaded, when they are there."""
        self._on_look()
        if not self._announced:
            self._look_when_ready = True
            return
        self._log.info("looking for models that have changed on disk")
        self._releases.look(settled=False)

    def _stop(self, now: float) -> None:
        self._stopping = True
        self._due.clear()
        for worker in self._pool.workers:
            # One that never answered has nothing to finish, whatever it is loading.
            worker.stop(now + KILL_DELAY_SECONDS if worker.ready_at is None else self._stop_by(now))

    def _reap(self, now: float) -> list[WorkerProcess]:
        ended = self._pool.reap(now)
        for worker in ended:
            self._wakeups.remove(worker.pipe)
            self._releases.left(worker.pid)
        return ended

    def _on_exit(self, worker: WorkerProcess, now: float) -> None:
        """Decide what follows from the end of a worker."""
        if self._stopping:
            self._exit_code = self._exit_code if worker.clean or worker.ready_at is None else 1
        elif worker is self._renewal:
            self._abandon_renewal(f"the new one {worker.exit_reason}")
        elif worker.stop_by is not None:
            return
        elif self._has_successor(worker):
            if not worker.clean:
                self._log.error(
                    "worker %d (process %d) %s; another is starting", worker.index, worker.pid, worker.exit_reason
                )
                self._shared_metrics.restarted()
        else:
            self._replace(worker, now)

    def _abandon_renewal(self, reason: str) -> None:
        self._renewal = None
        self._to_renew.clear()
        self._log.error("renewal abandoned, the workers that answer go on: %s", reason)

    def _has_successor(self, worker: WorkerProcess) -> bool:
        if worker not in self._to_renew:
            return False
        is_next = self._to_renew[0] is worker
        self._to_renew.remove(worker)
        if is_next and self._renewal is not None:
            # It is on the way, and from now on a worker like any other.
            self._renewal = None
            return True
        return False

    def _replace(self, worker: WorkerProcess, now: float) -> None:
        if worker.clean and worker.ready_at is not None:
            # It has answered as many requests as it should, or somebody asked it to leave.
            self._due[worker.index] = now
        elif worker.failure is not None and not self._announced and not self._others_answer():
            self._failure = worker.failure
            self._stop(now)
        else:
            self._replace_crashed(worker, now)

    def _others_answer(self) -> bool:
        return any(worker.ready_at is not None and worker.stop_by is None for worker in self._pool.workers)

    def _replace_crashed(self, worker: WorkerProcess, now: float) -> None:
        was_ready = worker.ready_at is not None
        answering = self._others_answer()
        requests = self._blame(worker, now) if was_ready else 0
        delay = self._crashes.crashed(now, was_ready=was_ready, by_request=requests > 0, others_answer=answering)
        if delay is None:
            self._log.error("giving up: %s; the last one %s", self._crashes.reason, worker.exit_reason)
            self._exit_code = 1
            self._stop(now)
            return
        who = f"worker {worker.index} (process {worker.pid})"
        if answering and not was_ready:
            message = f"{who} is tried again and again while the others answer: it {worker.exit_reason}"
            self._log_unable(worker.index, message, worker.exit_reason)
        else:
            running = f" while it ran {requests} requests" if requests else ""
            self._log.error("%s %s%s; replaced in %.1f s", who, worker.exit_reason, running, delay)
        self._shared_metrics.restarted()
        self._due[worker.index] = now + delay

    def _renew_next(self) -> None:
        room = len(self._pool.workers) + len(self._due) <= self._policy.workers
        if self._to_renew and self._renewal is None and room:
            self._renewal = self._spawn(self._to_renew[0].index)
            if self._renewal is None:
                self._abandon_renewal("it cannot be started")

    def _check_workers(self, now: float) -> None:
        """Kill workers that took too long to leave, and those that stand still."""
        if now - self._checked_at > 2 * TICK_SECONDS:
            # The parent itself was held up (a suspended machine): the workers could not beat either.
            self._not_held_up_since = now
        self._checked_at = now
        for worker in self._pool.workers:
            if worker.stop_by is not None:
                if now >= worker.stop_by:
                    if worker.ready_at is not None:
                        self._log.warning("worker %d (process %d) did not finish in time", worker.index, worker.pid)
                    worker.kill()
                    worker.stop_by = math.inf
            elif worker.ready_at is not None and not worker.hung:
                self._check_beat(worker, max(worker.ready_at, self._not_held_up_since), now)

    def _check_beat(self, worker: WorkerProcess, since: float, now: float) -> None:
        if now - max(since, self._shared_metrics.last_beat(worker.slot)) > self._policy.hang_seconds_of(worker.index):
            worker.hung = True
            self._log.error("worker %d (process %d) stands still", worker.index, worker.pid)
            worker.kill()
