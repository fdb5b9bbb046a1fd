"""A process that serves: the only worker, or one among several."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

from septet.assembly.access_rules import ProcessAccess
from septet.assembly.admin_routes import AdminRoutes
from septet.assembly.composition import application
from septet.assembly.loading import LoadedModels
from septet.assembly.releases import Releases
from septet.assembly.run_oversight import RunOversight
from septet.assembly.serving_plan import ServingPlan
from septet.events import NullObserver, Observer
from septet.monitoring.log import AccessLog
from septet.monitoring.worker_metrics import TurnObservers
from septet.protocols.http.app import App
from septet.registry import Models
from septet.server.admin_server import AdminServer
from septet.server.connection_gauge import ConnectionGauge
from septet.server.freed_memory import return_freed_memory
from septet.server.http_server import SecondaryServer
from septet.server.worker import WorkerHooks, run_worker
from septet.server.worker_context import WorkerContext

if TYPE_CHECKING:
    # A server that accepts no jobs does without.
    from septet.assembly.job_serving import JobIntake


class ServingProcess:
    """One process that serves: the only one, or a worker among several."""

    def __init__(self, plan: ServingPlan) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._loader = plan.loader

    def start(self, context: WorkerContext) -> int:
        """Load the models, serve, and return the exit code."""
        plan = self._plan
        sockets, calls, admin = plan.split(context.sockets)
        shared_metrics, slot, first = context.shared_metrics, context.slot, context.first
        begun = plan.begun if first else time.perf_counter()
        access = ProcessAccess(self._settings.access, plan.keys, shared_metrics.key_usage, slot)
        app = access.http_app()
        # Ready when all routes are there, and gRPC is, too.
        app.state.starting = True
        worker_metrics = shared_metrics.claim(slot)
        connections = ConnectionGauge(shared_metrics, slot)
        oversight = RunOversight(context, self._settings.server.stuck_run_seconds)
        loaded: list[LoadedModels] = []
        secondary_servers: list[SecondaryServer] = []
        released: list[Releases] = []

        def load() -> None:
            models = self._loader.load(first=first)
            loaded.append(models)
            names = models.names
            worker_metrics.count_models(names)
            observer = TurnObservers(worker_metrics, AccessLog(access=self._settings.logs.access))
            intake = self._job_intake(app, secondary_servers, first=first and slot == 0)
            application(app, self._settings, observer, shared_metrics.snapshot, names, access.key_counts, intake)
            models.install(app.models)
            releases = Releases(app.models, self._loader, names, context.send)
            released.append(releases)
            secondary_servers.extend(self._admin_servers(app.models, releases, admin))
            if calls:
                secondary_servers.append(self._grpc_server(app, observer, intake, calls, connections))

        def begin() -> None:
            (models,) = loaded
            started = time.perf_counter() - begun
            worker_metrics.loaded(load_seconds=models.load_seconds, startup_seconds=started)
            app.state.starting = False
            oversight.beat(app.models)
            context.ready()
            context.listen(released[0].receive)
            # To load a model takes more than to have it.
            return_freed_memory()
            if first and slot == 0:
                plan.announce(models.services, plan.addresses)

        # A lone worker tells callers that its model is loading. One among others must not take a request that
        # another could answer: it listens when it is ready, and until the first one is, callers wait to be accepted.
        hooks = WorkerHooks(
            load=load,
            on_ready=begin,
            on_heartbeat=partial(_on_heartbeat, partial(oversight.beat, app.models), access),
            on_connections=connections.http,
            on_listening=connections.listening,
            crowded=connections.crowded,
            secondary_servers=secondary_servers,
            tls_files=plan.tls_files,
            listens_early=first and self._settings.server.workers == 1,
        )
        return run_worker(app, sockets, self._settings, hooks)

    def _grpc_server(
        self,
        app: App,
        observer: Observer,
        intake: "JobIntake | None",
        sockets: Sequence[socket],
        connections: ConnectionGauge,
    ) -> SecondaryServer:
        from septet.assembly.grpc_serving import grpc_server

        jobs, tls_files = None if intake is None else intake.grpc_submitter(), self._plan.tls_files
        return grpc_server(app, self._settings, observer, sockets, connections, tls_files=tls_files, jobs=jobs)

    def _job_intake(self, app: App, secondary_servers: list[SecondaryServer], *, first: bool) -> "JobIntake | None":
        if self._settings.jobs.store is None:
            return None
        from septet.assembly.job_serving import JobIntake, opened_store, store_address

        jobs = self._settings.jobs
        intake = JobIntake(
            opened_store(store_address(jobs), first=first), jobs, app.predicting, access=self._settings.logs.access
        )
        secondary_servers.append(intake)
        return intake

    def _admin_servers(self, models: Models, releases: Releases, sockets: Sequence[socket]) -> list[SecondaryServer]:
        limits = self._settings.limits
        app = App(models)
        routes = AdminRoutes(releases.release)
        app.install(lambda _: (), (routes,), NullObserver(), limits)
        return [AdminServer(app, each, limits) for each in sockets]


def _on_heartbeat(beat: Callable[[], None], access: ProcessAccess) -> None:
    """What a worker does every second."""
    beat()
    access.look()
