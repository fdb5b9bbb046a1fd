"""What the gRPC connections of a worker share: the application and its methods, the limits, a clock, each other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from septet.protocols.http.app import App
from septet.protocols.rpc.methods import Method
from septet.server.h2.grpc_headers import ResponseTrailers
from septet.settings import Limits


class Connected(Protocol):
    """A connection, as the worker sees it."""

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""

    def check_timeouts(self) -> None:
        """Act where something has lasted too long; called once a second."""

    def server_drains(self) -> None:
        """Tell those who watch that the server is about to stop."""

    def part(self) -> None:
        """Take no more calls, answer those under way, then close."""

    def abort(self) -> None:
        """Close at once."""


class H2ServerState:
    """Made once for a worker; `count` is told how many connections are open.

    Attributes:
        methods: by path.
        answers: the trailers of every answer.
        seconds: counted by the sweep: a clock that costs nothing to read.
        connections: those that are open.
        draining: the server has said that it is about to stop.
        stopping: it stops, and takes no more calls.
        idle: set while nobody is connected.
    """

    def __init__(self, app: App, methods: Sequence[Method], limits: Limits, count: Callable[[int], None]) -> None:
        self.app = app
        self.methods: Mapping[str, Method] = {method.path: method for method in methods}
        self.limits = limits
        self.answers = ResponseTrailers(lambda: app.identity)
        self.seconds = 0
        self.connections: set[Connected] = set()
        self.draining = self.stopping = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._count = count

    def joined(self, connection: Connected) -> None:
        """Note a connection."""
        self.connections.add(connection)
        self.idle.clear()
        self._count(len(self.connections))

    def left(self, connection: Connected) -> None:
        """Note its end."""
        self.connections.discard(connection)
        if not self.connections:
            self.idle.set()
        self._count(len(self.connections))

    async def sweep(self) -> None:
        """Once a second, look at every connection. Runs until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.seconds += 1
            for connection in list(self.connections):
                connection.check_timeouts()
