"""Septet: one trained model, served in one command.

`septet.asgi` is a model as an ASGI application; `septet.save` and `septet.pack` make packages; `septet.Client` and
`septet.AsyncClient` call a server; `septet.report_progress` tells how much of a job is done. They are imported when
they are first used: `septet --help` should not need numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from septet.assembly.asgi_mounting import asgi as asgi
    from septet.client.async_client import AsyncClient as AsyncClient
    from septet.client.sync_client import Client as Client
    from septet.packing.packaging import pack as pack
    from septet.packing.save import save as save
    from septet.runtimes.run_progress import report_progress as report_progress

__all__ = ["AsyncClient", "Client", "asgi", "pack", "report_progress", "save"]

_HOMES = {
    "AsyncClient": "septet.client.async_client",
    "Client": "septet.client.sync_client",
    "asgi": "septet.assembly.asgi_mounting",
    "pack": "septet.packing.packaging",
    "report_progress": "septet.runtimes.run_progress",
    "save": "septet.packing.save",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'septet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
