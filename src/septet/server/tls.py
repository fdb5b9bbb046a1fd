"""From an accepted socket to a transport, encrypted where the server has a certificate."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from septet.server.tls_files import TlsFiles
from septet.settings import Limits

#: Between two looks of a worker at the files.
LOOK_SECONDS: Final = 1.0


class TransportOpener:
    """Opens connections of one protocol of `tls_files`; they are plain where the server has no files."""

    def __init__(self, tls_files: TlsFiles | None, protocol: str, limits: Limits) -> None:
        self._tls_files = tls_files
        self._protocol = protocol
        self._handshake_seconds = limits.header_timeout_seconds
        self._most_handshakes = limits.max_connections
        self._handshakes = 0

    async def open(self, factory: Callable[[], asyncio.Protocol], connection: socket.socket) -> None:
        """Make a transport of a socket.

        Raises:
            OSError: the handshake failed, took longer than a request's headers may, or is one too many.
        """
        loop = asyncio.get_running_loop()
        if self._tls_files is None:
            await loop.connect_accepted_socket(factory, connection)
            return
        if self._handshakes >= self._most_handshakes:
            # No connection yet, so that nothing else counts it.
            raise ConnectionAbortedError("too many TLS handshakes are under way")
        self._handshakes += 1
        try:
            await loop.connect_accepted_socket(
                factory,
                connection,
                ssl=self._tls_files.context(self._protocol),
                ssl_handshake_timeout=self._handshake_seconds,
            )
        finally:
            self._handshakes -= 1


async def watch(tls_files: TlsFiles) -> None:
    """Look at the files every second, until cancelled, and say nothing: the parent looks at them, too."""
    tls_files.logs = False
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        tls_files.look()
