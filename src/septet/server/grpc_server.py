"""An application over gRPC, on the event loop of the process that serves HTTP.

It listens only once the model is loaded, also where HTTP already answers that it is loading: a caller that comes before
meets a closed port, which gRPC clients call UNAVAILABLE and try again.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from septet.errors import StartupError
from septet.server.acceptor import Acceptor
from septet.server.h2.h2_connection import H2Connection
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.listener import listen_on_reserved
from septet.server.tls import TransportOpener
from septet.server.tls_files import GRPC, TlsFiles


class GrpcServer:
    """Answers calls on sockets that are bound but do not listen yet.

    `state` has the application and its methods; `crowded` answers whether another worker should accept first.
    """

    def __init__(
        self,
        state: H2ServerState,
        sockets: Sequence[socket.socket],
        *,
        backlog: int,
        crowded: Callable[[], bool],
        tls_files: TlsFiles | None = None,
    ) -> None:
        self._state = state
        self._app = state.app
        self._sockets = sockets
        self._backlog = backlog
        self._crowded = crowded
        self._opener = TransportOpener(tls_files, GRPC, state.limits)
        self._acceptors: list[Acceptor] = []

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: a socket cannot be used.
        """
        for each in self._sockets:
            try:
                # Where several workers share the socket it may listen already.
                listen_on_reserved(each, self._backlog)
            except OSError as error:
                raise StartupError(f"cannot listen for gRPC: {error}") from error
            each.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._acceptors.append(Acceptor(each, self._open, self._count, self._crowded))
        self._sweeping = asyncio.create_task(self._state.registry.sweep())

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
        await asyncio.gather(*(acceptor.wait_closed() for acceptor in self._acceptors))
        self._state.stopping = True
        registry = self._state.registry
        for connection in registry:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(registry.empty.wait(), grace)
        answered = not any(connection.busy for connection in registry)
        self._sweeping.cancel()
        for connection in registry:
            connection.abort()
        return answered

    async def _open(self, connection: socket.socket) -> None:
        await self._opener.open(self._protocol, connection)

    def _count(self) -> int:
        return len(self._state.registry)

    def _protocol(self) -> H2Connection:
        return H2Connection(self._state)
