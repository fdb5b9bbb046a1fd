"""urllib3's connections to a Unix socket. Imported only where a server is on one."""

import socket
from pathlib import Path
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError


class UnixHTTPConnection(HTTPConnection):
    """One connection; `path` is the socket, the host is any."""

    def __init__(self, host: str, *args: Any, path: Path, **more: Any) -> None:
        super().__init__(host, *args, **more)
        self._path = path

    def _new_conn(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Until it is connected, which is at once or never.
            opened.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            opened.connect(str(self._path))
        except OSError as error:
            opened.close()
            raise NewConnectionError(self, f"Failed to connect: {error}") from error
        return opened


class UnixPool(HTTPConnectionPool):
    """The connections to a server on a Unix socket, `maxsize` of which are kept."""

    ConnectionCls = UnixHTTPConnection

    def __init__(self, path: Path, *, maxsize: int) -> None:
        super().__init__("localhost", maxsize=maxsize, retries=False, path=path)
