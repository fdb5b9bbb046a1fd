"""What the gRPC connections of a worker share: the application and its methods, the limits, each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from septet.protocols.http.app import App
from septet.protocols.rpc.methods import Method
from septet.server.connection_registry import ConnectionRegistry, ManagedConnection
from septet.server.freed_memory import AbandonedMemory
from septet.server.h2.grpc_headers import ResponseTrailers
from septet.settings import Limits


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
        abandoned: what clients have given up.
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
        self.abandoned = AbandonedMemory()
        self.registry = ConnectionRegistry[ManagedH2Connection](on_connections, self.abandoned.second_passed)
        self.draining = self.stopping = False
