"""The open connections of one server, whatever protocol they speak, and the sweep that looks at them once a second."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol


class ManagedConnection(Protocol):
    """A connection as the registry and the server see it."""

    @property
    def busy(self) -> bool:
        """Whether a request has come and is not answered."""

    def check_timeouts(self) -> None:
        """Close the connection where something has lasted too long; called once a second."""

    def shutdown(self) -> None:
        """Take no more requests, answer those that have come, then close."""


class ConnectionRegistry:
    """Made once for a server. `on_change` is told how many connections are open whenever that changes.

    Attributes:
        empty: set while no connection is open.
        seconds: counted by the sweep, a clock that costs nothing to read.
    """

    def __init__(self, on_change: Callable[[int], None]) -> None:
        self._on_change = on_change
        self._connections: set[ManagedConnection] = set()
        self.empty = asyncio.Event()
        self.empty.set()
        self.seconds = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[ManagedConnection]:
        """The connections of now; they may close meanwhile."""
        return iter(list(self._connections))

    def add(self, connection: ManagedConnection) -> None:
        """Note a connection."""
        self._connections.add(connection)
        self.empty.clear()
        self._on_change(len(self._connections))

    def remove(self, connection: ManagedConnection) -> None:
        """Note its end."""
        self._connections.discard(connection)
        if not self._connections:
            self.empty.set()
        self._on_change(len(self._connections))

    async def sweep(self) -> None:
        """Once a second, check every connection. Runs until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.second_passed()

    def second_passed(self) -> None:
        """Sweep once."""
        self.seconds += 1
        for connection in self:
            connection.check_timeouts()
