"""Leads a run over a table: plans it, has its units done by worker processes, and makes what they wrote the target.

What is done stands in the ledger. A run that ended in the middle, however it did, is found there by its plan and goes
on with what is not done.
"""

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import IO, Final, TypeAlias

import msgspec

from septet.batch_runs.batch_order import BatchOrder, planned, source_schema
from septet.batch_runs.batch_plan import BatchPlan
from septet.batch_runs.batch_run import DONE, BatchRun, RunStatus, UnitResult
from septet.batch_runs.run_documents import RunPace
from septet.batch_runs.run_ledger import RunLedger
from septet.batch_runs.run_output import RunOutput, read_manifest
from septet.batch_runs.worker_messages import (
    BeginRun,
    DoUnit,
    FromBatchWorker,
    LoadModel,
    ModelLoaded,
    RowsRead,
    ToBatchWorker,
    UnitDone,
    WorkFailed,
    encoded,
)
from septet.errors import Conflict, StartupError
from septet.model.signature import Signature
from septet.runtimes.quota import cpus
from septet.settings import Settings
from septet.settings.resolution import values_of

#: How often a unit is done anew whose worker has ended.
MOST_ATTEMPTS: Final = 3
#: For a worker to end by itself.
END_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 1.0


class RunProgress(msgspec.Struct, frozen=True):
    """How far a run is; `note` is told once: why rows are run one by one, or what happened to a worker."""

    run: BatchRun
    pace: RunPace
    note: str | None = None


Observe: TypeAlias = Callable[[RunProgress], None]


class BatchChoice(msgspec.Struct, frozen=True):
    """How a run is led.

    Attributes:
        workers: processes that do units; 0 for one on each CPU.
        overwrite: whether a target that is there already is replaced.
        most_bad_rows: the run fails when more rows are bad; None for no limit but that not all may be.
        deadline: seconds since 1970 by which it is to end; None for no matter when.
        trigger: `manual`, or the name of the job that began it.
    """

    workers: int = 0
    overwrite: bool = False
    most_bad_rows: int | None = None
    deadline: float | None = None
    trigger: str = "manual"


class _Worker:
    """A worker process, as its leader sees it."""

    def __init__(self, inbox: "queue.Queue[tuple[_Worker, FromBatchWorker | None]]") -> None:
        command = (sys.executable, "-m", "septet.assembly.batch_worker")
        self._process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.unit: int | None = None
        # Rows of its unit that were read, and bad ones among them.
        self.rows = self.bad_rows = 0
        self.ready = False
        threading.Thread(target=self._listen, args=(inbox,), name="septet-batch", daemon=True).start()

    def tell(self, order: ToBatchWorker) -> None:
        """Tell it something; one that has ended is noticed by its silence."""
        stream = self._process.stdin
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.write(encoded(order))
                stream.flush()

    def end(self) -> None:
        """End it: what it has begun is not done."""
        # It ends with its orders; one that stands still is killed.
        self._close(self._process.stdin)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close(self._process.stdout)

    @staticmethod
    def _close(stream: IO[bytes] | None) -> None:
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    @property
    def exit_reason(self) -> str:
        """How it ended, in words."""
        code = self._process.wait()
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"

    def _listen(self, inbox: "queue.Queue[tuple[_Worker, FromBatchWorker | None]]") -> None:
        decoder = msgspec.json.Decoder(FromBatchWorker)
        stream = self._process.stdout
        if stream is not None:
            with contextlib.suppress(ValueError, OSError):  # it was closed
                for line in stream:
                    inbox.put((self, decoder.decode(line)))
        inbox.put((self, None))


def lead_run(
    order: BatchOrder, choice: BatchChoice, settings: Settings, ledger_path: Path, observe: Observe
) -> BatchRun:
    """Do what is asked for and return the run when it has ended; `observe` is called about once a second.

    Raises:
        StartupError: the model cannot be loaded, or the ledger not opened.
        NotFound, Invalid, Malformed: the source is not there, or does not fit the model.
        Conflict: the target is there already, or another run writes to it.
    """
    with _workers() as crew, RunLedger(ledger_path) as ledger:
        count = choice.workers or cpus()
        model = msgspec.structs.replace(settings.model, threads=settings.model.threads or max(1, cpus() // count))
        crew.load = LoadModel(order.model, values_of(msgspec.structs.replace(settings, model=model)))
        # It loads the model while others would wait for it to say what the model takes.
        crew.start(count)
        loaded = crew.loaded()
        plan, _ = planned(order, loaded.signature, loaded.identity)
        with ledger.lock(str(Path(plan.target).absolute())):
            return _Run(plan, loaded, choice, ledger, crew, observe).lead()


class _Crew:
    """The workers of a run."""

    def __init__(self) -> None:
        self.inbox: queue.Queue[tuple[_Worker, FromBatchWorker | None]] = queue.Queue()
        self.load: LoadModel | None = None
        self.workers: list[_Worker] = []

    def start(self, count: int) -> None:
        """Start workers until there are so many."""
        while len(self.workers) < count and self.load is not None:
            worker = _Worker(self.inbox)
            worker.tell(self.load)
            self.workers.append(worker)

    def loaded(self) -> ModelLoaded:
        """What the first worker that has loaded the model says of it.

        Raises:
            StartupError: it cannot be loaded.
        """
        while True:
            worker, message = self.inbox.get()
            if isinstance(message, ModelLoaded):
                worker.ready = True
                return message
            if isinstance(message, WorkFailed):
                raise StartupError(message.message)
            if message is None:
                raise StartupError(f"a process that loads the model {worker.exit_reason}")

    def end(self) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.end()
        self.workers.clear()


@contextlib.contextmanager
def _workers() -> Iterator[_Crew]:
    crew = _Crew()
    try:
        yield crew
    finally:
        crew.end()


class _Run:
    """One run, from its plan to its end."""

    def __init__(
        self,
        plan: BatchPlan,
        loaded: ModelLoaded,
        choice: BatchChoice,
        ledger: RunLedger,
        crew: _Crew,
        observe: Observe,
    ) -> None:
        self._plan = plan
        self._signature: Signature = loaded.signature
        self._note = None if loaded.together else f"rows are run one by one: {loaded.reason}"
        self._choice = choice
        self._ledger = ledger
        self._crew = crew
        self._observe = observe
        self._run = self._found_or_new()
        self._output = RunOutput(plan, self._run.id, loaded.signature, source_schema(plan))
        self._done: dict[int, UnitResult] = {}
        self._attempts: dict[int, int] = {}
        self._failed: dict[int, str] = {}
        self._begun = time.monotonic()
        self._rows_before = 0

    def lead(self) -> BatchRun:
        """Do what is not done."""
        if self._run.status in DONE:
            return self._run
        try:
            self._output.prepare()
            self._done = {result.index: result for result in self._ledger.done(self._run.id)}
            self._rows_before = sum(result.rows for result in self._done.values())
            self._do_units()
            return self._ended()
        except (SystemExit, KeyboardInterrupt):
            self._update(RunStatus.ABORTED, "it was told to stop")
            raise
        except OSError as error:
            self._update(RunStatus.FAILED, f"{error.strerror or error}: {error.filename or self._plan.target}")
            return self._run

    def _found_or_new(self) -> BatchRun:
        plan, ledger = self._plan, self._ledger
        key = plan.key
        found = ledger.latest(key)
        if found is not None and (found.status not in DONE or (_is_there(plan) and not self._choice.overwrite)):
            return found
        if _is_there(plan) and not self._choice.overwrite:
            raise Conflict(f"{plan.target}: is there already. Choose another target, or replace it with --overwrite.")
        for before in ledger.runs(target=plan.target):
            if before.status not in DONE:
                # What it has written is of another source or model, and of no use.
                RunOutput(ledger.plan(before.id), before.id, self._signature, None).discard()
        identity = plan.identity
        run = BatchRun(
            id=token_hex(16),
            key=key,
            trigger=self._choice.trigger,
            model=identity.name,
            model_version=identity.version,
            model_digest=identity.digest,
            source=plan.source,
            target=plan.target,
            status=RunStatus.RUNNING,
            started_at=time.time(),
            deadline=self._choice.deadline,
            units=len(plan.units),
        )
        ledger.begin(run, plan)
        return run

    def _do_units(self) -> None:
        waiting = deque(unit.index for unit in self._plan.units if unit.index not in self._done)
        self._update(RunStatus.RUNNING, None)
        crew = self._crew
        wanted = min(len(crew.workers), max(1, len(waiting)))
        for worker in crew.workers[wanted:]:
            worker.end()
        del crew.workers[wanted:]
        for worker in crew.workers:
            if worker.ready:
                self._begin(worker, waiting)
        seen = 0.0
        while (waiting or any(worker.unit is not None for worker in crew.workers)) and not self._too_bad():
            now = time.monotonic()
            if now - seen >= _TICK_SECONDS:
                seen = now
                self._tell()
            try:
                worker, message = crew.inbox.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            if worker in crew.workers:
                self._received(worker, message, waiting)
        self._tell()

    def _received(self, worker: _Worker, message: FromBatchWorker | None, waiting: "deque[int]") -> None:
        if isinstance(message, ModelLoaded):
            worker.ready = True
            self._begin(worker, waiting)
        elif isinstance(message, RowsRead):
            worker.rows += message.rows
            worker.bad_rows += message.bad_rows
        elif isinstance(message, UnitDone):
            self._done[message.result.index] = message.result
            self._run = self._counted()
            self._ledger.unit_done(self._run, message.result)
            self._next(worker, waiting)
        elif isinstance(message, WorkFailed):
            if message.unit is None:
                raise StartupError(message.message)
            self._failed[message.unit] = message.message
            self._next(worker, waiting)
        else:
            self._lost(worker, waiting)

    def _begin(self, worker: _Worker, waiting: "deque[int]") -> None:
        worker.tell(BeginRun(self._plan, self._run.id))
        self._next(worker, waiting)

    def _next(self, worker: _Worker, waiting: "deque[int]") -> None:
        worker.unit, worker.rows, worker.bad_rows = None, 0, 0
        if waiting:
            worker.unit = waiting.popleft()
            worker.tell(DoUnit(worker.unit))

    def _lost(self, worker: _Worker, waiting: "deque[int]") -> None:
        """A worker has ended: another one does its unit, unless that has ended others before."""
        crew, unit = self._crew, worker.unit
        crew.workers.remove(worker)
        reason = f"a worker {worker.exit_reason}"
        worker.end()
        if unit is not None:
            self._attempts[unit] = self._attempts.get(unit, 0) + 1
            if self._attempts[unit] >= MOST_ATTEMPTS:
                self._failed[unit] = f"{reason} while it did the unit, as others did before"
            else:
                waiting.appendleft(unit)
            self._note = f"{reason}; unit {unit} is done by another"
            self._tell()
        if waiting or not crew.workers:
            crew.start(len(crew.workers) + 1)

    def _too_bad(self) -> bool:
        most = self._choice.most_bad_rows
        return most is not None and self._progress().pace.bad_rows > most

    def _ended(self) -> BatchRun:
        run = self._counted()
        if self._too_bad():
            self._update(RunStatus.FAILED, f"more than {self._choice.most_bad_rows} rows are bad")
        elif self._failed:
            unit, message = min(self._failed.items())
            more = f" ({len(self._failed)} units failed)" if len(self._failed) > 1 else ""
            self._update(RunStatus.FAILED, f"unit {unit}: {message}{more}")
        else:
            self._update(RunStatus.PUBLISHING, None)
            self._output.publish([self._done[unit.index] for unit in self._plan.units])
            if run.rows and run.rows == run.bad_rows:
                self._update(RunStatus.FAILED, f"all of the {run.rows} rows are bad; {self._plan.errors} says why")
            else:
                self._update(RunStatus.SUCCEEDED_WITH_ERRORS if run.bad_rows else RunStatus.SUCCEEDED, None)
        self._tell()
        return self._run

    def _counted(self) -> BatchRun:
        results: Sequence[UnitResult] = list(self._done.values())
        return msgspec.structs.replace(
            self._run,
            units_done=len(results),
            rows=sum(result.rows for result in results),
            bad_rows=sum(result.bad_rows for result in results),
        )

    def _update(self, status: RunStatus, error: str | None) -> None:
        ended = None if status in (RunStatus.RUNNING, RunStatus.PUBLISHING) else time.time()
        self._run = msgspec.structs.replace(self._counted(), status=status, error=error, ended_at=ended)
        self._ledger.update(self._run)

    def _progress(self) -> RunProgress:
        rows = sum(result.rows for result in self._done.values()) + sum(each.rows for each in self._crew.workers)
        bad = sum(result.bad_rows for result in self._done.values()) + sum(each.bad_rows for each in self._crew.workers)
        seconds = max(time.monotonic() - self._begun, 1e-9)
        rate = (rows - self._rows_before) / seconds
        total = self._plan.rows
        left = None if total is None or rate <= 0 else max(0.0, (total - rows) / rate)
        return RunProgress(self._run, RunPace(rows, bad, total, rate, left), self._note)

    def _tell(self) -> None:
        self._observe(self._progress())
        self._note = None


def _is_there(plan: BatchPlan) -> bool:
    target = Path(plan.target)
    return read_manifest(target) is not None if plan.target.endswith("/") else target.exists()
