"""Memory of models that are served no more, and of bodies that were abandoned, given back to the system.

glibc keeps the pages of what a process has freed, so a process that loads one large model after another, or is sent
large bodies by many clients at once, would grow to several times the size that it needs.
"""

import ctypes
import threading

# By then whoever closed a model, or a connection, has let go of it.
_LATER_SECONDS = 1.0


def return_freed_memory() -> None:
    """Give back the pages that nothing uses. In a thread a second from now: with a large model it takes 0.1 s."""
    # Other C libraries give pages back by themselves.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        timer = threading.Timer(_LATER_SECONDS, trim, (0,))
        timer.daemon = True
        timer.start()
