"""An observer that remembers what it was told."""

from septet.events import Finished


class RecordingObserver:
    """Keeps every event.

    Attributes:
        in_flight: requests that have begun and not finished.
        events: one for each finished request, oldest first.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.events: list[Finished] = []

    def started(self) -> None:
        """Count it."""
        self.in_flight += 1

    def finished(self, event: Finished) -> None:
        """Keep it."""
        self.in_flight -= 1
        self.events.append(event)
