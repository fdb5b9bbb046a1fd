"""An application over gRPC, on the event loop of the process that serves HTTP.

It listens only once the model is loaded, also where HTTP already answers that it is loading: a caller that comes before
meets a closed port, which gRPC clients call UNAVAILABLE and try again.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from septet.errors import StartupError
from septet.protocols.http.app import App
from septet.protocols.rpc.methods import Method
from septet.server.acceptor import Acceptor
from septet.server.h2.h2_connection import H2Connection
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.listener import listen_on_reserved
from septet.server.tls import ServedTls
from septet.settings import Settings

# For the TLS handshakes of those who have connected when the end begins.
OPENING_SECONDS = 1.0


class GrpcServer:
    """Answers calls from an application that has the methods' routes, on sockets that are bound but do not listen yet.

    `on_connections` is called with how many connections are open; `crowded` answers whether another worker should
    accept first.
    """

    def __init__(
        self,
        app: App,
        methods: Sequence[Method],
        sockets: Sequence[socket.socket],
        settings: Settings,
        *,
        on_connections: Callable[[int], None],
        crowded: Callable[[], bool],
    ) -> None:
        self._app = app
        self._sockets = sockets
        self._settings = settings
        self._crowded = crowded
        self._state = H2ServerState(app, methods, settings.limits, on_connections)
        self._acceptors: list[Acceptor] = []

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: a socket, or the certificate, cannot be used.
        """
        # What becomes of the files is told by the server for HTTP, which has the same.
        self._tls = ServedTls(self._settings.server, self._settings.limits, "h2", logs=False)
        for each in self._sockets:
            try:
                # Where several workers share the socket it may listen already.
                listen_on_reserved(each, self._settings.server.backlog)
            except OSError as error:
                raise StartupError(f"cannot listen for gRPC: {error}") from error
            each.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._acceptors.append(Acceptor(each, self._open, self._count, self._crowded))
        self._helpers = [
            asyncio.create_task(self._state.registry.sweep()),
            asyncio.create_task(self._tls.watch()),
        ]

    def drain(self) -> None:
        """Say that the server is not ready, but go on answering."""
        self._app.draining = True
        if self._state.draining:
            return
        self._state.draining = True
        for connection in self._state.registry:
            connection.announce_draining()

    async def stop(self, grace: float) -> bool:
        """Take no more calls, and answer those under way within so many seconds; whether all were."""
        self.drain()
        for acceptor in self._acceptors:
            acceptor.close()
        for each in self._sockets:
            each.close()
        for acceptor in self._acceptors:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(acceptor.wait_closed(), OPENING_SECONDS)
        self._state.stopping = True
        registry = self._state.registry
        for connection in registry:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(registry.empty.wait(), grace)
        answered = not any(connection.busy for connection in registry)
        for helper in self._helpers:
            helper.cancel()
        for connection in registry:
            connection.abort()
        return answered

    async def _open(self, connection: socket.socket) -> None:
        await self._tls.open(self._protocol, connection)

    def _count(self) -> int:
        return len(self._state.registry)

    def _protocol(self) -> H2Connection:
        return H2Connection(self._state)
