"""Accepts connections so that workers on one listening socket have about as many each.

An event loop's own server accepts all that wait as soon as it wakes, so that a burst of connections may fall to one
worker while the others have nothing to do, for as long as the connections are kept open. Here a worker takes a few
connections in a turn of its loop, the more the more it has, since its turns become longer with them; and one that has
clearly more connections than another leaves a moment for the other to come first.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

# Of the connections that a worker has, it takes this part and one more in a turn: as much as it may be ahead of others.
# No more than so many: to begin with TLS takes a millisecond each, for which those who are connected must wait.
PART, MOST = 8, 32
# How long a crowded worker waits for another to accept: longer than most turns of a loop, too short to be noticed.
DEFER_SECONDS = 0.001
# When it is closed: for the TLS handshakes of those who have connected.
OPENING_SECONDS = 1.0
# After the system has no descriptor left.
PAUSE_SECONDS = 0.2
# Between two warnings of that.
WARNING_SECONDS = 10.0

logger = logging.getLogger("septet.server")

OpenConnection = Callable[[socket.socket], Coroutine[Any, Any, object]]


class Acceptor:
    """One listening socket in one worker; it can be closed, and waited for.

    `open_connection` makes a transport of an accepted socket; `connections` says how many this worker has, and
    `crowded` whether another should come first.
    """

    def __init__(
        self,
        listening: socket.socket,
        open_connection: OpenConnection,
        connections: Callable[[], int],
        crowded: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._open = open_connection
        self._connections = connections
        self._crowded = crowded
        self._pause: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = self._refused = False
        self._warn_at = 0.0
        self._loop.add_reader(listening.fileno(), self._ready)

    def close(self) -> None:
        """Take in who has connected already, then accept no more; the socket itself belongs to who made it."""
        if self._closed:
            return
        self._closed = True
        while self._accept():
            pass
        self._loop.remove_reader(self._listening.fileno())
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait until those who were taken in have their transports, or for a moment: a handshake may never end."""
        if self._opening:
            await asyncio.wait(self._opening, timeout=OPENING_SECONDS)

    def _ready(self) -> None:
        if self._crowded():
            self._pause_accepting(DEFER_SECONDS)
            return
        for _ in range(min(1 + self._connections() // PART, MOST)):
            if not self._accept():
                return

    def _pause_accepting(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        """Nobody else came, or many wait: take one in any case."""
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._ready)
        self._accept()

    def _accept(self) -> bool:
        """Take one connection, if there is one."""
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker took it, or the client has left
        except OSError as error:
            # Once, not for each pause, nor whenever one connection ends: the log must not be filled as well.
            if not self._refused and self._loop.time() >= self._warn_at:
                self._refused = True
                self._warn_at = self._loop.time() + WARNING_SECONDS
                logger.warning("no connection can be accepted for now, those that are open go on: %s", error)
            if self._pause is None and not self._closed:
                self._pause_accepting(PAUSE_SECONDS)
            return False
        if self._refused:
            self._refused = False
            logger.info("connections are accepted again")
        connection.settimeout(0)
        # Only a network's connection has it.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._opened(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _opened(self, connection: socket.socket) -> None:
        try:
            await self._open(connection)
        except OSError as error:  # a TLS handshake that fails is one
            logger.debug("a connection could not be opened: %s", error)
            connection.close()
