"""`septet serve`: from a path and settings to a running server, in this process or in several."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import msgspec

from septet.assembly.access_rules import ProcessAccess, watched_keys
from septet.assembly.admin_routes import AdminRoutes
from septet.assembly.composition import application, layout
from septet.assembly.loading import LoadedModels, ModelLoader
from septet.assembly.releases import Releases
from septet.assembly.run_oversight import RunOversight
from septet.assembly.served_files import WatchedFiles
from septet.errors import MissingExtra, StartupError
from septet.events import NullObserver
from septet.monitoring.log import AccessLog, configure
from septet.monitoring.shared_metrics import SharedMetrics
from septet.monitoring.worker_metrics import TurnObservers
from septet.protocols.http.app import App
from septet.registry import Models
from septet.server.admin_server import AdminServer
from septet.server.admin_socket import NO_SOCKET, default_admin_path, listening_for_admin
from septet.server.freed_memory import return_freed_memory
from septet.server.http_server import SecondaryServer
from septet.server.listener import bind, reserve
from septet.server.open_files import allow_open_files
from septet.server.supervisor import SupervisionPolicy, supervise
from septet.server.unix_socket import listening_at
from septet.server.worker import WorkerHooks, run_worker
from septet.server.worker_context import WorkerContext
from septet.service import Service
from septet.settings import Settings
from septet.types import Middleware

if TYPE_CHECKING:
    from septet.access.watched_keys import WatchedKeys
    from septet.server.tls_files import TlsFiles

logger = logging.getLogger("septet")


class Addresses(msgspec.Struct, frozen=True):
    """Where a server answers.

    Attributes:
        url: for HTTP.
        grpc: the addresses for gRPC, such as `127.0.0.1:8001`.
        unix_socket: where HTTP is answered in place of the URL's host and port.
    """

    url: str
    grpc: Sequence[str] = ()
    unix_socket: Path | None = None


Announce = Callable[[Sequence[Service], Addresses], None]


def serve(
    paths: Sequence[Path], settings: Settings, *, announce: Announce, middleware: Sequence[Middleware] = ()
) -> int:
    """Serve models until a signal comes, and return the exit code; `announce` is called once.

    `middleware` wraps the predictor of each model, the first one outermost.

    Raises:
        StartupError: a model, or an address, cannot be served.
        MissingExtra: gRPC is asked for and not installed.
    """
    begun = time.perf_counter()
    configure(style=settings.logs.format, level=settings.logs.level)
    server = settings.server
    loader = ModelLoader(paths, settings, middleware)
    with contextlib.ExitStack() as held:
        calls = [held.enter_context(each) for each in _reserved(settings)]
        unix_socket = None if server.unix_socket is None else Path(server.unix_socket).absolute()
        sockets = _http_sockets(settings, unix_socket, held)
        served = sockets[0].getsockname()[1] if unix_socket is None else unix_socket
        admin = _admin_socket(settings, served, held)
        tls_files = _tls_files(settings)
        files = WatchedFiles(loader, watch=server.watch, tls_files=tls_files)
        keys = watched_keys(settings.access)
        counted = layout(loader.count, _grpc_templates() if calls else ())
        addresses = Addresses(address(sockets, settings), [_shown(each) for each in calls], unix_socket)
        process = ServingProcess(loader, settings, begun, addresses, announce, tls_files, keys)
        shared = [*sockets, *calls, *admin]
        allow_open_files(len(shared), server.workers, settings.limits.max_connections)
        if server.workers > 1:
            loader.share()
        grace = server.drain_delay_seconds + server.grace_seconds
        policy = SupervisionPolicy(server.workers, grace, server.hang_seconds, server.poison_seconds)
        # The parent holds both ports whichever worker comes or goes, and gives them up when the end begins.
        return supervise(
            partial(process.start, len(sockets), len(calls)),
            lambda: None,
            sockets=shared,
            layout=counted,
            policy=policy,
            files=files,
            # Of all processes this one tells of it, and workers that come later have what it has.
            on_look=_nothing if keys is None else keys.look,
        )


def _nothing() -> None:
    pass


def _reserved(settings: Settings) -> list[socket]:
    """The sockets for gRPC, on which nobody listens yet; none where it is not asked for."""
    server = settings.server
    if server.grpc_port is None:
        return []
    # Only looked for: the parent of workers needs neither.
    if any(find_spec(name) is None for name in ("hpack", "google.protobuf")):
        raise MissingExtra("--grpc-port needs hpack and protobuf: pip install 'septet[grpc]'")
    return reserve(server.host, server.grpc_port)


def _tls_files(settings: Settings) -> "TlsFiles | None":
    """What encrypts connections; None for plain ones.

    Raises:
        StartupError: the files cannot be used.
    """
    if settings.server.tls_certificate is None:
        return None
    from septet.server.tls_files import TlsFiles

    return TlsFiles(settings.server)


def _http_sockets(settings: Settings, unix_socket: Path | None, held: contextlib.ExitStack) -> list[socket]:
    """The sockets for HTTP, which listen.

    Raises:
        StartupError: the address, or the path, cannot be used.
    """
    server = settings.server
    if unix_socket is None:
        return bind(server.host, server.port, server.backlog)
    if os.name != "posix":
        raise StartupError("--unix-socket needs a system that has Unix sockets")
    mode = int(server.unix_socket_mode, 8)
    listening = listening_at(unix_socket, mode=mode, backlog=server.backlog, name="the Unix socket")
    return [held.enter_context(listening)]


def _admin_socket(settings: Settings, served: int | Path, held: contextlib.ExitStack) -> list[socket]:
    """The socket for the server's owner; none where that is not wanted, or where its usual place cannot be used.

    Raises:
        StartupError: the path that the settings name cannot be used.
    """
    chosen = settings.server.admin_socket
    if chosen == NO_SOCKET or os.name != "posix":
        return []
    try:
        path = default_admin_path(served) if chosen is None else Path(chosen).absolute()
        return [held.enter_context(listening_for_admin(path, settings.server.backlog))]
    except StartupError as error:
        if chosen is not None:
            raise
        logger.warning("septet release cannot reach this server: %s", error.message)
        return []


def _grpc_templates() -> tuple[str, ...]:
    from septet.assembly.grpc_serving import grpc_templates

    return grpc_templates()


def _shown(reserved: socket) -> str:
    host, port = reserved.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address(sockets: list[socket], settings: Settings) -> str:
    """The URL of a server that listens on these sockets; on a Unix socket the host is any."""
    scheme = "http" if settings.server.tls_certificate is None else "https"
    if settings.server.unix_socket is not None:
        return f"{scheme}://localhost"
    host, port = settings.server.host, sockets[0].getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class ConnectionGauge:
    """How many connections a process has, over HTTP and gRPC together, as the others see it."""

    def __init__(self, shared_metrics: SharedMetrics, slot: int) -> None:
        self._shared_metrics = shared_metrics
        self._slot = slot
        self._http = self._grpc = 0
        self._listening = False

    def http(self, connections: int) -> None:
        """Note those over HTTP."""
        self._http = connections
        self._notify()

    def listening(self, listening: bool) -> None:  # noqa: FBT001 - called by place
        """Note whether more are accepted over HTTP."""
        self._listening = listening
        self._notify()

    def grpc(self, connections: int) -> None:
        """Note those over gRPC."""
        self._grpc = connections
        self._notify()

    def crowded(self) -> bool:
        """Whether another process should accept the next one first."""
        return self._shared_metrics.crowded(self._slot)

    def _notify(self) -> None:
        self._shared_metrics.connected(self._slot, self._http + self._grpc, listening=self._listening)


class ServingProcess:
    """One process that serves: the only one, or a worker among several."""

    def __init__(
        self,
        loader: ModelLoader,
        settings: Settings,
        begun: float,
        addresses: Addresses,
        announce: Announce,
        tls_files: "TlsFiles | None",
        keys: "WatchedKeys | None",
    ) -> None:
        self._loader = loader
        self._settings = settings
        self._begun = begun
        self._addresses = addresses
        self._announce = announce
        self._tls_files = tls_files
        self._keys = keys

    def start(self, http: int, grpc: int, context: WorkerContext) -> int:
        """Load the models, serve, and return the exit code.

        The first `http` sockets of the context are for HTTP, then `grpc` for gRPC; one more is for admin operations.
        """
        sockets, calls = context.sockets[:http], context.sockets[http : http + grpc]
        admin = context.sockets[http + grpc :]
        shared_metrics, slot, first = context.shared_metrics, context.slot, context.first
        begun = self._begun if first else time.perf_counter()
        access = ProcessAccess(self._settings.access, self._keys, shared_metrics.key_usage, slot)
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
            application(app, self._settings, observer, shared_metrics.snapshot, names, access.key_counts)
            models.install(app.models)
            releases = Releases(app.models, self._loader, names, context.send)
            released.append(releases)
            secondary_servers.extend(self._admin_servers(app.models, releases, admin))
            if calls:
                from septet.assembly.grpc_serving import grpc_server

                secondary_servers.append(
                    grpc_server(
                        app,
                        self._settings,
                        observer,
                        calls,
                        on_connections=connections.grpc,
                        crowded=connections.crowded,
                        tls_files=self._tls_files,
                    )
                )

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
                self._announce(models.services, self._addresses)

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
            tls_files=self._tls_files,
            listens_early=first and self._settings.server.workers == 1,
        )
        return run_worker(app, sockets, self._settings, hooks)

    def _admin_servers(self, models: Models, releases: Releases, sockets: Sequence[socket]) -> list[SecondaryServer]:
        limits = self._settings.limits
        app = App(models)
        routes = AdminRoutes(releases.release)
        app.install(lambda _: (), (routes,), NullObserver(), max_body_bytes=limits.max_body_bytes)
        return [AdminServer(app, each, limits) for each in sockets]


def _on_heartbeat(beat: Callable[[], None], access: ProcessAccess) -> None:
    """What a worker does every second."""
    beat()
    access.look()
