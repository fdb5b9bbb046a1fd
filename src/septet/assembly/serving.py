"""`septet serve`: from paths and settings to the parent of the processes that serve."""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from septet.assembly.composition import layout
from septet.assembly.key_source import watched_keys
from septet.assembly.loading import ModelLoader
from septet.assembly.served_files import WatchedFiles
from septet.assembly.serving_plan import Addresses, Announce, ServingPlan
from septet.assembly.serving_process import ServingProcess
from septet.errors import MissingExtra, StartupError
from septet.monitoring.log import configure
from septet.server.admin_socket import NO_SOCKET, default_admin_path, listening_for_admin
from septet.server.listener import bind, reserve
from septet.server.open_files import allow_open_files
from septet.server.supervisor import SupervisionPolicy, supervise
from septet.server.unix_socket import listening_at
from septet.server.worker_context import WorkerContext
from septet.settings import Settings
from septet.types import Middleware

if TYPE_CHECKING:
    from septet.server.tls_files import TlsFiles

logger = logging.getLogger("septet")


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
        counted = layout(loader.count, (*(_grpc_templates() if calls else ()), *_job_templates(settings)))
        addresses = Addresses(address(sockets, settings), [_shown(each) for each in calls], unix_socket)
        plan = ServingPlan(
            loader,
            settings,
            begun,
            addresses,
            announce,
            tls_files,
            keys,
            http=len(sockets),
            grpc=len(calls),
            serving=server.workers,
        )
        shared = [*sockets, *calls, *admin]
        allow_open_files(len(shared), server.workers, settings.limits.max_connections)
        workers = server.workers + (settings.jobs.workers if settings.jobs.store is not None else 0)
        if workers > 1:
            loader.share()
        grace = server.drain_delay_seconds + server.grace_seconds
        # A job may hold the interpreter for as long as it may run.
        patience = max(server.hang_seconds, settings.jobs.run_seconds)
        policy = SupervisionPolicy(workers, grace, server.hang_seconds, server.poison_seconds, server.workers, patience)
        # The parent holds both ports whichever worker comes or goes, and gives them up when the end begins.
        return supervise(
            partial(_start, plan),
            lambda: None,
            sockets=shared,
            layout=counted,
            policy=policy,
            files=files,
            # Of all processes this one tells of it, and workers that come later have what it has.
            on_look=_nothing if keys is None else keys.look,
        )


def _start(plan: ServingPlan, context: WorkerContext) -> int:
    """Begin a process: the first ones serve, the others answer jobs."""
    if context.index < plan.serving:
        return ServingProcess(plan).start(context)
    from septet.assembly.job_process import JobProcess

    return JobProcess(plan).start(context)


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


def _job_templates(settings: Settings) -> tuple[str, ...]:
    """Look at where jobs are stored, before anything starts.

    Raises:
        SettingsInvalid: they cannot be stored there.
    """
    if settings.jobs.store is None:
        return ()
    from septet.assembly.composition import job_templates
    from septet.queues.store_address import StoreAddress

    _ = StoreAddress(settings.jobs.store).file
    return job_templates()


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
