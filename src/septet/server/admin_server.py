"""The server behind the admin socket: HTTP/1.1, beside the one for callers and on the same event loop."""

import asyncio
import contextlib
import socket

from septet.protocols.http.app import App
from septet.server.acceptor import Acceptor
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.settings import Limits

STOP_SECONDS = 1.0


class AdminServer:
    """A `SecondaryServer` for the routes of `app`, which all who may connect to the socket may ask."""

    def __init__(self, app: App, listening: socket.socket, limits: Limits) -> None:
        self._app = app
        self._listening = listening
        self._limits = limits

    async def start(self) -> None:
        """Listen."""
        self._state = HttpServerState(self._app, self._limits, lambda _: None)
        self._acceptor = Acceptor(self._listening, self._open, lambda: 0, lambda: False)
        self._sweeping = asyncio.create_task(self._state.registry.sweep())

    def drain(self) -> None:
        """Say that the server is not ready, but go on answering."""
        self._app.draining = True

    async def stop(self, grace: float) -> bool:
        """Take no more requests. A release that is under way is given up: it would hold up the end."""
        self.drain()
        self._acceptor.close()
        registry = self._state.registry
        for connection in registry:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(registry.empty.wait(), min(grace, STOP_SECONDS))
        self._sweeping.cancel()
        return True

    async def _open(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: HttpConnection(self._state), connection)
