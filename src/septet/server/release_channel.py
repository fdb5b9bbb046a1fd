"""How a serving process and the coordinator of its releases reach each other."""

from collections.abc import Callable
from typing import Protocol

from septet.server.release_coordinator import ReleaseCoordinator, ServedFiles
from septet.server.release_messages import FromWorker, ToWorker


class ReleaseChannel(Protocol):
    """To the coordinator: in the parent of several workers, or in the only process."""

    def send(self, message: FromWorker) -> None:
        """Tell the coordinator something."""

    def listen(self, receive: Callable[[ToWorker], None]) -> None:
        """Call `receive` with each message of the coordinator, on the running event loop."""


class LocalChannel:
    """The channel of a process that serves alone, with its coordinator."""

    def __init__(self, files: ServedFiles) -> None:
        self._coordinator = ReleaseCoordinator(self._tell, files)
        self._receive: Callable[[ToWorker], None] | None = None

    def send(self, message: FromWorker) -> None:
        """Tell the coordinator something."""
        self._coordinator.received(0, message)

    def listen(self, receive: Callable[[ToWorker], None]) -> None:
        """Call `receive` with each message of the coordinator; from now on this process takes part in releases."""
        self._receive = receive
        self._coordinator.joined(0, self._coordinator.generation)

    def look(self, *, settled: bool) -> None:
        """Release what has changed on disk; nothing before the models are loaded."""
        if self._receive is not None:
            self._coordinator.look(settled=settled)

    def _tell(self, _: int, message: ToWorker) -> None:
        if self._receive is not None:
            self._receive(message)
