"""Memory that a process has freed, given back to the system: of models, of loading them, of abandoned bodies.

glibc keeps the pages of what a process has freed, so a process that loads one large model after another, or is sent
large bodies by many clients at once, would grow to several times the size that it needs.
"""

import ctypes
import threading

# By then whoever closed a model has let go of it.
_LATER_SECONDS = 1.0
# What clients may abandon before the memory that it took is given back.
MAX_ABANDONED_BYTES = 32 << 20


def return_freed_memory(seconds: float = _LATER_SECONDS) -> None:
    """Give back the pages that nothing uses, in a thread, so many seconds from now: it may take 0.1 s."""
    timer = threading.Timer(seconds, trim_memory)
    timer.daemon = True
    timer.start()


def trim_memory() -> None:
    """Give them back now."""
    # Other C libraries give pages back by themselves.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class AbandonedMemory:
    """What the clients of one server have abandoned."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int) -> None:
        """So many bytes of requests and answers were given up by their client."""
        self._bytes += size

    def second_passed(self) -> None:
        """Give it back where it is much."""
        if self._bytes > MAX_ABANDONED_BYTES:
            self._bytes = 0
            return_freed_memory(0.0)
