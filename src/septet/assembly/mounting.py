"""`septet.asgi`: a model as an ASGI application, for other servers and for mounting into other applications."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from septet.assembly.composition import application, layout, open_service
from septet.monitoring.log import AccessLog
from septet.monitoring.observers import Observers
from septet.monitoring.tally import Tally
from septet.protocols.api import App
from septet.protocols.asgi import Asgi
from septet.settings.resolution import resolve

if TYPE_CHECKING:
    from septet.monitoring.directory import DirectoryTally


def asgi(path: str | os.PathLike[str], *, config: str | os.PathLike[str] | None = None, **settings: Any) -> Asgi:
    """A model as an ASGI 3 application, loaded and proven when this returns.

    Settings are those of `septet serve`, by their names with underscores (`max_rows=100`), from `SEPTET_*` in the
    environment, and from the file `config`; the ones given here take precedence. Those that concern the listening
    socket and the processes are the outer server's.

    Raises:
        StartupError: the model cannot be served, or a setting cannot be used.
    """
    begun = time.perf_counter()
    resolved = resolve(settings, os.environ, None if config is None else Path(config))
    service = open_service(Path(path), resolved)
    folder = resolved.server.metrics_dir
    tally = Tally(layout()) if folder is None else _shared(Path(folder))
    counts = tally.claim()
    counts.loaded(load_seconds=service.facts["load_seconds"], startup_seconds=time.perf_counter() - begun)
    observer = Observers(counts, AccessLog(service.identity, access=resolved.logs.access))
    app = application(service, resolved, observer, tally.totals, App())
    return Asgi(app, max_body_bytes=resolved.limits.max_body_bytes)


def _shared(folder: Path) -> "DirectoryTally":
    # It needs file locks, which not every system has; who does not ask for it should not miss them.
    from septet.monitoring.directory import DirectoryTally

    return DirectoryTally(layout(), folder)
