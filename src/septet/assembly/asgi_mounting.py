"""`septet.asgi`: a model as an ASGI application, for other servers and for mounting into other applications."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from septet.assembly.access_rules import ProcessAccess
from septet.assembly.composition import application, layout
from septet.assembly.key_source import watched_keys
from septet.assembly.loading import ModelLoader
from septet.errors import SettingsInvalid
from septet.monitoring.key_usage import KeyUsage
from septet.monitoring.log import AccessLog
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.monitoring.worker_metrics import TurnObservers
from septet.protocols.http.asgi import Asgi
from septet.service import Service
from septet.settings.resolution import resolve
from septet.types import Middleware

if TYPE_CHECKING:
    from septet.monitoring.directory_metrics import DirectoryMetrics


def asgi(
    *paths: str | os.PathLike[str] | Service,
    config: str | os.PathLike[str] | None = None,
    middleware: Sequence[Middleware] = (),
    **settings: Any,
) -> Asgi:
    """One model, or several, as an ASGI 3 application, loaded and proven when this returns.

    A `Service` in place of a path, such as a `septet.remote.remote_service.remote_service`, is served as it is.

    `middleware` wraps the predictor of each model, the first one outermost.

    Settings are those of `septet serve`, by their names with underscores (`max_rows=100`), from `SEPTET_*` in the
    environment, and from the file `config`; the ones given here take precedence. Those that concern the listening
    socket and the processes are the outer server's. Limits of API keys hold for each process of it.

    Raises:
        StartupError: the model cannot be served, or a setting cannot be used.
    """
    begun = time.perf_counter()
    resolved = resolve(settings, os.environ, None if config is None else Path(config))
    if resolved.jobs.store is not None:
        raise SettingsInvalid("jobs.store is for septet serve: an application in another server accepts no jobs")
    loader = ModelLoader([path if isinstance(path, Service) else Path(path) for path in paths], resolved, middleware)
    loaded = loader.load()
    folder = resolved.server.metrics_dir
    counted = layout(loader.count)
    shared_metrics = SharedMetrics(counted) if folder is None else _shared(counted, Path(folder), loaded.names)
    worker_metrics = shared_metrics.claim()
    worker_metrics.count_models(loaded.names)
    worker_metrics.loaded(load_seconds=loaded.load_seconds, startup_seconds=time.perf_counter() - begun)
    observer = TurnObservers(worker_metrics, AccessLog(access=resolved.logs.access))
    access = ProcessAccess(resolved.access, watched_keys(resolved.access), KeyUsage(shared=False))
    app = access.http_app()
    application(app, resolved, observer, shared_metrics.snapshot, loaded.names, access.key_counts)
    loaded.install(app.models)
    return Asgi(app, max_body_bytes=resolved.limits.max_body_bytes)


def _shared(counted: MetricsLayout, folder: Path, models: Sequence[str]) -> "DirectoryMetrics":
    # It needs file locks, which not every system has; who does not ask for it should not miss them.
    from septet.monitoring.directory_metrics import DirectoryMetrics

    return DirectoryMetrics(counted, folder, models)
