"""Work that would hold up an event loop: whoever is about to begin it asks for another thread.

What a request costs is known only while it is read: a body of a megabyte may be one tensor or a million values. So each
step that may take long says so where it knows it, before it begins, by `leave_loop`. Who called it on the event loop
calls it again in a thread, where `leave_loop` does nothing. Whoever works in one thread alone notices nothing.
"""

import asyncio
from typing import Final

#: Bytes of a body that a compiled decoder reads on the loop, in 10 ms or less.
BYTES_ON_LOOP: Final = 1 << 20
#: Bytes of a body that is parsed to Python's own objects on the loop, to be compared.
PARSED_BYTES_ON_LOOP: Final = 1 << 15
#: Bytes of a body that is read value by value on the loop, to name what is wrong in it.
CAREFUL_BYTES_ON_LOOP: Final = 1 << 13
#: Values of a tensor that become objects of Python on the loop.
VALUES_ON_LOOP: Final = 1 << 15


class LengthyWork(Exception):
    """Raised on the thread of an event loop in place of work that is to be done in another one.

    `owner` is the served model that the work is for, where only the work itself told it.
    """

    owner: object = None


def on_loop() -> bool:
    """Whether this thread runs an event loop, which waits for it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def leave_loop() -> None:
    """Begin work that takes long.

    Raises:
        LengthyWork: an event loop waits for this thread.
    """
    if on_loop():
        raise LengthyWork
