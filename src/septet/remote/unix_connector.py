"""aiohttp's connections to a Unix socket. Imported only where a server is on one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import UnixConnector
from aiohttp.client_proto import ResponseHandler


class NotedUnixConnector(UnixConnector):
    """Calls `on_connection`, in the task of the request that needs it, before it makes a connection."""

    def __init__(self, path: Path, on_connection: Callable[[], None]) -> None:
        super().__init__(path=str(path))
        self._on_connection = on_connection

    async def _create_connection(self, *request: Any, **more: Any) -> ResponseHandler:
        self._on_connection()
        return await super()._create_connection(*request, **more)
