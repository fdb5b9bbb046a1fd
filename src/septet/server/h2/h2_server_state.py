"""What the gRPC connections of a worker share: the application and its methods, the limits, each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from septet.protocols.http.app import App
from septet.protocols.rpc.methods import Method
from septet.server.connection_registry import ConnectionRegistry, ManagedConnection
from septet.server.freed_memory import return_freed_memory
from septet.server.h2.grpc_headers import ResponseTrailers
from septet.settings import Limits

#: Of abandoned bytes; beyond, freed memory is given back to the system.
MAX_ABANDONED_BYTES: Final = 1 << 25


class ManagedH2Connection(ManagedConnection, Protocol):
    """A connection as the gRPC server sees it."""

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""

    def announce_draining(self) -> None:
        """Tell the calls that watch the server's health that it is about to stop."""

    def abort(self) -> None:
        """Close at once."""


class H2ServerState:
    """Made once for a worker; `on_connections` is called with how many connections are open.

    Attributes:
        methods: by path.
        trailers: makes the trailers of every answer.
        registry: the open connections.
        draining: the server has announced that it is about to stop.
        stopping: it stops, and takes no more calls.
    """

    def __init__(
        self, app: App, methods: Sequence[Method], limits: Limits, on_connections: Callable[[int], None]
    ) -> None:
        self.app = app
        self.methods: Mapping[str, Method] = {method.path: method for method in methods}
        self.limits = limits
        self.trailers = ResponseTrailers(lambda: app.identity)
        self.registry = ConnectionRegistry[ManagedH2Connection](on_connections, self._second_passed)
        self.draining = self.stopping = False
        self._abandoned_bytes = 0

    def abandon(self, size: int) -> None:
        """So many bytes of messages and answers were given up by a client that has gone."""
        self._abandoned_bytes += size

    def _second_passed(self) -> None:
        if self._abandoned_bytes > MAX_ABANDONED_BYTES:
            self._abandoned_bytes = 0
            return_freed_memory()
