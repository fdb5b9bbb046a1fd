"""Several observers as one."""

from septet.events import Finished, Observer


class Observers:
    """Tells each observer in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def started(self) -> None:
        """Pass on that a request has arrived."""
        for observer in self._observers:
            observer.started()

    def finished(self, event: Finished) -> None:
        """Pass on that a request has been answered."""
        for observer in self._observers:
            observer.finished(event)
