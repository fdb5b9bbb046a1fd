"""A process that answers jobs."""

import time
from functools import partial

from septet.assembly.composition import application
from septet.assembly.job_serving import JobWork, grpc_app, job_work, worker_settings
from septet.assembly.loading import LoadedModels
from septet.assembly.releases import Releases
from septet.assembly.run_oversight import RunOversight
from septet.assembly.serving_plan import ServingPlan
from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.server.connection_gauge import ConnectionGauge
from septet.server.freed_memory import return_freed_memory
from septet.server.http_server import SecondaryServer
from septet.server.worker import WorkerHooks, run_worker
from septet.server.worker_context import WorkerContext


class JobProcess:
    """One process that answers jobs, among those that serve or by itself."""

    def __init__(self, plan: ServingPlan) -> None:
        self._plan = plan
        self._settings = worker_settings(plan.settings)

    def start(self, context: WorkerContext) -> int:
        """Load the models, answer jobs, and return the exit code."""
        plan, settings, shared_metrics = self._plan, self._settings, context.shared_metrics
        begun = plan.begun if context.first else time.perf_counter()
        app = App()
        app.state.starting = True
        worker_metrics = shared_metrics.claim(context.slot)
        connections = ConnectionGauge(shared_metrics, context.slot)
        oversight = RunOversight(context, settings.server.stuck_run_seconds)
        loaded: list[LoadedModels] = []
        secondary_servers: list[SecondaryServer] = []
        working: list[JobWork] = []
        released: list[Releases] = []

        # Among those that serve, one of them has said it.
        tells = not plan.serving and context.first and context.slot == 0

        def load() -> None:
            models = plan.loader.load(first=context.first)
            loaded.append(models)
            names = models.names
            worker_metrics.count_models(names)
            # A request is counted where it was accepted, and not once more here.
            observer = NullObserver()
            application(app, settings, observer, shared_metrics.snapshot, names)
            models.install(app.models)
            released.append(Releases(app.models, plan.loader, names, context.send))
            grpc, access = grpc_app(app, settings, observer), settings.logs.access
            working.append(job_work(app, grpc, settings.jobs, access=access, first=tells))
            secondary_servers.extend(working)

        def begin() -> None:
            (models,) = loaded
            started = time.perf_counter() - begun
            worker_metrics.loaded(load_seconds=models.load_seconds, startup_seconds=started)
            app.state.starting = False
            oversight.beat(app.models)
            context.ready()
            context.listen(released[0].receive)
            working[0].begin()
            return_freed_memory()
            if not plan.serving and context.first and context.slot == 0:
                plan.announce(models.services, plan.addresses)

        hooks = WorkerHooks(
            load=load,
            on_ready=begin,
            on_heartbeat=partial(oversight.beat, app.models),
            on_connections=connections.http,
            on_listening=_nothing,
            crowded=connections.crowded,
            secondary_servers=secondary_servers,
            tls_files=None,
            listens_early=False,
        )
        return run_worker(app, (), settings, hooks)


def _nothing(_: bool) -> None:  # noqa: FBT001 - called by place
    """Nobody connects to it."""
