"""Memory that a process has freed, given back to the system: of models, of loading them, of abandoned bodies.

glibc keeps the pages of what a process has freed, so a process that loads one large model after another, or is sent
large bodies by many clients at once, would grow to several times the size that it needs.
"""

import ctypes
import threading

# By then whoever closed a model has let go of it.
_LATER_SECONDS = 1.0


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
