"""The open connections of one server, of any protocol, and the sweep that checks them once a second."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class ManagedConnection(Protocol):
    """A connection as the registry and the server see it."""

    def check_timeouts(self) -> None:
        """Close the connection where something has lasted too long; called once a second."""

    def shutdown(self) -> None:
        """Take no more requests, answer those that have come, then close."""


ConnectionT = TypeVar("ConnectionT", bound=ManagedConnection)


class ConnectionRegistry(Generic[ConnectionT]):
    """Made once for a server.

    `on_change` is called with the number of open connections whenever that changes; `on_second` is called by each sweep
    before the connections are checked.

    Attributes:
        empty: set while no connection is open.
        seconds: counted by the sweep, a clock that costs nothing to read.
    """

    def __init__(self, on_change: Callable[[int], None], on_second: Callable[[], None] | None = None) -> None:
        self._on_change = on_change
        self._on_second = on_second
        self._connections: set[ConnectionT] = set()
        self.empty = asyncio.Event()
        self.empty.set()
        self.seconds = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[ConnectionT]:
        """The connections of now; they may close meanwhile."""
        return iter(list(self._connections))

    def add(self, connection: ConnectionT) -> None:
        """Note a connection."""
        self._connections.add(connection)
        self.empty.clear()
        self._on_change(len(self._connections))

    def remove(self, connection: ConnectionT) -> None:
        """Note its end."""
        self._connections.discard(connection)
        if not self._connections:
            self.empty.set()
        self._on_change(len(self._connections))

    async def sweep(self) -> None:
        """Sweep once a second. Runs until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.second_passed()

    def second_passed(self) -> None:
        """Count a second, and check every connection."""
        self.seconds += 1
        if self._on_second is not None:
            self._on_second()
        for connection in self:
            connection.check_timeouts()
