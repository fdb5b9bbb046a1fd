"""Jobs within one process: a store in memory, an application that accepts them, and a worker that answers them."""

import asyncio
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from septet.assembly.composition import application, job_templates, layout
from septet.assembly.job_serving import JobIntake, JobWork, OpenedStore
from septet.events import NullObserver
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.queues.job_store import JobStore, StoreLimits
from septet.queues.memory_store import MemoryStore
from septet.service import Service
from septet.settings import Jobs, Settings


class PipeSignals:
    """Signals within one process; what is told is heard by who tells it, too."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK)

    def fileno(self) -> int:
        return self._read

    def drain(self) -> None:
        os.read(self._read, 4096)

    def notify(self) -> None:
        os.write(self._write, b"1")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class KeptLease:
    """In place of the process that keeps leases: the worker joins, and is told what the test says."""

    name = "w"

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.on_cancelled: Callable[[Sequence[str]], None] = _nothing
        self.on_lost: Callable[[], None] = lambda: None

    async def start(self, on_cancelled: Callable[[Sequence[str]], None], on_lost: Callable[[], None]) -> None:
        self._store.join(self.name, ["model", "other"], 0.0)
        self.on_cancelled, self.on_lost = on_cancelled, on_lost

    async def leave(self) -> None:
        """Nothing is kept."""


def _nothing(_: Sequence[str]) -> None:
    """Nobody listens yet."""


class JobServer:
    """Services that accept jobs, and with `working` a worker for them; an async context manager."""

    def __init__(
        self,
        *services: Service,
        working: bool = True,
        limits: StoreLimits | None = None,
        jobs: Jobs | None = None,
        access: bool = False,
    ) -> None:
        self._access = access
        self.store = MemoryStore(limits)
        self._services = services
        self._working = working
        self._jobs = Jobs(store="memory") if jobs is None else jobs

    async def __aenter__(self) -> Self:
        settings = Settings(jobs=self._jobs)
        self.app, worker = App(), App()
        self._intake = JobIntake(
            OpenedStore(lambda: self.store, PipeSignals()), settings.jobs, self.app.predicting, access=self._access
        )
        names = [each.identity.name for each in self._services]
        metrics = SharedMetrics(layout(len(names), job_templates()))
        metrics.claim().count_models(names)
        for app, intake in ((self.app, self._intake), (worker, None)):
            application(app, settings, NullObserver(), metrics.snapshot, names, intake=intake)
            app.models.install_all(self._services)
        self.keeping = KeptLease(self.store)
        await self._intake.start()
        store, lease = OpenedStore(lambda: self.store, PipeSignals()), self.keeping
        self._work = JobWork(store, lease, worker, None, settings.jobs, access=self._access)  # type: ignore[arg-type]
        if self._working:
            await self._work.start()
            self._work.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._working:
            await self._work.stop(5.0)
        await self._intake.stop(5.0)

    async def post(self, path: str, body: bytes, **headers: str) -> HttpReply:
        return await self.ask("POST", path, body, **headers)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> HttpReply:
        path, _, query = path.partition("?")
        named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        sent = {b"content-type": b"application/json", **named}
        async with asyncio.timeout(60):
            return await self.app(HttpRequest(method, path, query.encode(), sent, body))
