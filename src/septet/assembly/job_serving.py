"""The jobs of one process: how one that serves accepts them and tells of them, and how a worker answers them."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from time import time
from typing import Final

import msgspec

from septet.errors import SeptetError, SettingsInvalid, StartupError
from septet.events import Observer
from septet.jobs.answer_bound import answer_within
from septet.jobs.async_routes import AsyncRoutes
from septet.jobs.delivery_run import DeliveryRun
from septet.jobs.job_consumer import Answer, JobConsumer
from septet.jobs.job_log import JobLog
from septet.jobs.job_routes import JobRoutes
from septet.jobs.job_submitter import JobSubmitter, http_ticket
from septet.jobs.job_waiters import JobWaiters
from septet.jobs.lease_keeping import LeaseKeeping
from septet.jobs.store_thread import StoreThread
from septet.jobs.submission import JobDefaults
from septet.monitoring.job_metrics import StoreReading
from septet.protocols.http.app import App
from septet.protocols.http.predict_route import PredictRoute
from septet.protocols.native.native_routes import NativeRoutes
from septet.queues.job_store import JobSignals, JobStore, StoreFailed, StoreLimits
from septet.queues.lease_keeper import MOST_SWEPT
from septet.queues.store_address import StoreAddress, open_signals, open_store
from septet.registry import Models
from septet.server.daemon_thread import in_daemon_thread
from septet.settings import Jobs, Limits, Settings
from septet.sinks.delivery import Delivery
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy

logger = logging.getLogger("septet.jobs")

#: How long a page of metrics waits for the store.
_READING_SECONDS: Final = 2.0
#: How often a server lets jobs expire and forgets them.
SWEEP_SECONDS: Final = 5.0


def store_address(jobs: Jobs) -> StoreAddress:
    """Where the settings say that jobs are stored.

    Raises:
        SettingsInvalid: they cannot be stored there.
    """
    limits = StoreLimits(
        max_waiting=jobs.max_waiting,
        max_bytes=jobs.max_bytes,
        max_waiting_seconds=jobs.max_waiting_seconds,
        keep_seconds=jobs.keep_seconds,
    )
    address = StoreAddress(jobs.store or "", jobs.durable, limits)
    _ = address.file  # which looks at the URL
    return address


def opened_store(address: StoreAddress, *, first: bool) -> "OpenedStore":
    """Open what is stored there; the `first` process says in the log what may be lost.

    Raises:
        StartupError: it cannot be opened.
    """
    try:
        opened = OpenedStore(partial(open_store, address), open_signals(address))
    except StoreFailed as error:
        raise StartupError(f"jobs cannot be stored at {address.shown}: {error.message}") from None
    if first and not opened.safe:
        logger.warning("accepted jobs may be lost: %s", opened.durability)
    return opened


class OpenedStore:
    """The store of one process, its thread, and the signals of others.

    Attributes:
        thread: which calls the store.
        durability, safe: what the store says of it.
    """

    def __init__(self, open_it: Callable[[], JobStore], signals: JobSignals) -> None:
        """Open the store.

        Raises:
            StartupError: it cannot be opened.
        """
        self._signals = signals
        self.thread = StoreThread(open_it)
        self.durability, self.safe = self.thread.start(signals)

    def listen(self, look: Callable[[], None]) -> None:
        """Call this with each signal, on the running event loop."""
        signals = self._signals

        def heard() -> None:
            signals.drain()
            look()

        asyncio.get_running_loop().add_reader(signals.fileno(), heard)

    async def close(self) -> None:
        """Hear nothing more, and let go of the store."""
        asyncio.get_running_loop().remove_reader(self._signals.fileno())
        await self.thread.close()
        self._signals.close()


def open_sinks(jobs: Jobs) -> OpenSinks:
    """Where answers may be brought to.

    Raises:
        SettingsInvalid: a sink of the settings cannot be used.
        MissingExtra: one needs a library that lacks.
    """
    facts = {
        "sinks": jobs.sinks,
        "webhook_hosts": jobs.webhook_hosts,
        "webhook_ports": tuple(map(int, jobs.webhook_ports)),
        "webhook_http": jobs.webhook_http,
        "webhook_networks": jobs.webhook_networks,
        "webhook_secrets": jobs.webhook_secrets,
    }
    try:
        return OpenSinks(msgspec.convert(facts, SinkPolicy))
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"the settings of sinks cannot be used: {error}") from None


class JobIntake:
    """A `SecondaryServer` beside the HTTP server: it accepts jobs, and lets callers ask for them."""

    def __init__(
        self, store: OpenedStore, jobs: Jobs, find: Callable[[str], PredictRoute | None], *, access: bool = False
    ) -> None:
        """Take what the settings say; `find` gives the route that predicts at a path, `access` logs each job.

        Raises:
            SettingsInvalid: a sink of the settings cannot be used.
        """
        self._store = store
        self._log = JobLog(access=access)
        self._sinks = open_sinks(jobs)
        self._waiters = JobWaiters(self._store.thread)
        self._defaults = JobDefaults(jobs.attempts, jobs.max_age_seconds)
        self._sweeping: asyncio.Task[None] | None = None
        self.routes = JobRoutes(self._store.thread, self._waiters)
        self.submitter = JobSubmitter(
            self._store.thread,
            self._defaults,
            self._sinks.named_by_caller,
            partial(http_ticket, self._store.durability),
            find,
            self._log,
        )

    @property
    def described(self) -> dict[str, object]:
        """What a caller may know of it."""
        return {"accepted": True, "durability": self._store.durability}

    def async_routes(self, native: NativeRoutes) -> AsyncRoutes:
        """The routes of one model that always answer later."""
        return AsyncRoutes(native)

    def grpc_submitter(self) -> JobSubmitter:
        """What takes the calls of gRPC that are answered later."""
        from septet.jobs.grpc_ticket import grpc_ticket

        return JobSubmitter(
            self._store.thread,
            self._defaults,
            self._sinks.named_by_caller,
            partial(grpc_ticket, self._store.durability),
            log=self._log,
        )

    async def read(self) -> StoreReading:
        """What the store says now; it is not waited for long."""
        now = time()
        try:
            async with asyncio.timeout(_READING_SECONDS):
                return StoreReading(await self._store.thread.run(lambda store: store.stats(now)), now)
        except (SeptetError, TimeoutError):
            return StoreReading(None, now)

    async def start(self) -> None:
        """Hear of changes, and see to jobs that expire."""
        self._store.listen(self._waiters.look)
        self._sweeping = asyncio.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Let jobs expire, and forget them: where no worker lives, nobody else does."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with contextlib.suppress(SeptetError):  # the store may be there again later
                await self._store.thread.run(lambda store: store.sweep(time(), MOST_SWEPT), changes=True)

    def drain(self) -> None:
        """Who waits for a job is answered with what is known."""
        self._waiters.close()

    async def stop(self, grace: float) -> bool:  # noqa: ARG002 - requests under way are the HTTP server's
        """Close the store."""
        self.drain()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._store.close()
        self._sinks.close()
        return True


class JobWork:
    """A `SecondaryServer` that answers jobs, in a process that accepts none."""

    def __init__(
        self,
        store: OpenedStore,
        keeping: LeaseKeeping,
        app: App,
        grpc: App | None,
        jobs: Jobs,
        *,
        access: bool = False,
    ) -> None:
        """Take jobs; `app` and `grpc` answer the paths of HTTP and of gRPC, `access` logs each job.

        Raises:
            SettingsInvalid: a sink of the settings cannot be used.
        """
        self._store = store
        self._log = JobLog(access=access, worker=keeping.name)
        self._sinks = open_sinks(jobs)
        self._consumer = JobConsumer(
            store.thread,
            keeping,
            partial(_answer_of, app, grpc, jobs.max_answer_bytes),
            DeliveryRun(store.thread, partial(_in_thread, self._sinks)),
            partial(_digests, app.models),
            most=jobs.most_at_once,
            lost=_end_this_process,
        )

    async def start(self) -> None:
        """Join the other workers."""
        self._store.listen(self._consumer.look)
        await self._consumer.start()

    def begin(self) -> None:
        """Begin to take jobs, once the process is ready."""
        self._consumer.begin(self._log)

    def drain(self) -> None:
        """Take no more jobs."""
        self._consumer.drain()

    async def stop(self, grace: float) -> bool:
        """Finish what was begun, give back the rest, and close the store."""
        finished = await self._consumer.stop(grace)
        await self._store.close()
        self._sinks.close()
        return finished


def _in_thread(sinks: OpenSinks, kept: str, delivery: Delivery) -> Awaitable[None]:
    """Bring an answer in a thread that nobody has to wait for: a hook may take its time, and any end of it is sound."""
    return in_daemon_thread(partial(sinks.deliver, kept, delivery), "septet-delivery")


def job_work(app: App, grpc: App | None, jobs: Jobs, *, access: bool, first: bool) -> JobWork:
    """What answers jobs in this process.

    Raises:
        StartupError: their store cannot be opened.
    """
    address = store_address(jobs)
    names = [each.service.identity.name for each in app.models]
    keeping = LeaseKeeping(address, names, jobs.lease_seconds)
    return JobWork(opened_store(address, first=first), keeping, app, grpc, jobs, access=access)


def worker_settings(settings: Settings) -> Settings:
    """The settings for answering jobs: as long as a job may run, and as many at once as are taken."""
    seconds, limits = settings.jobs.run_seconds, settings.limits
    patient: Limits = msgspec.structs.replace(
        limits,
        timeout_seconds=min(seconds, 86_400.0),
        max_timeout_seconds=min(seconds, 86_400.0),
        route_timeouts=(),
        max_pending=max(limits.max_pending, settings.jobs.most_at_once),
    )
    return msgspec.structs.replace(settings, limits=patient)


def grpc_app(app: App, settings: Settings, observer: Observer) -> App | None:
    """The application that answers the paths of gRPC; None where its libraries are not installed."""
    try:
        from septet.assembly.grpc_serving import grpc_application
    except ImportError:
        return None
    return grpc_application(app, settings, observer)[0]


def _answer_of(app: App, grpc: App | None, most_bytes: int, path: str) -> Answer:
    answer = grpc.answer if grpc is not None and grpc.find(path) is not None else app.answer
    return partial(answer_within, answer, most_bytes)


def _digests(models: Models) -> dict[str, str]:
    return {each.service.identity.name: each.service.identity.digest for each in models}


def _end_this_process() -> None:
    """As its parent would end it; then another takes its place."""
    os.kill(os.getpid(), signal.SIGTERM)
