"""What every target holds, whatever it is given, and how long an input may take."""

from collections.abc import Callable
from time import thread_time
from typing import TypeAlias

#: Takes one input; raises whatever is no answer that the target allows.
Check: TypeAlias = Callable[[bytes], None]

#: CPU time that an input may take: so many seconds, and so many for each of its bytes. It is that of Python code which
#: is instrumented for coverage; without it, an input takes a fraction.
SECONDS = 0.05
SECONDS_A_BYTE = 20e-6
# An input that took too long once may have met the collector or a cold cache: the least of so many counts.
_TIMES = 4


class BrokenPromise(AssertionError):
    """Raised where an input is answered as no input may be."""


def require(holds: object, said: str) -> None:
    """Raise `BrokenPromise` where a claim does not hold."""
    if not holds:
        raise BrokenPromise(said)


def timed(check: Check) -> Check:
    """The check, which holds the time of each input as well."""

    def one(data: bytes) -> None:
        begun = thread_time()
        check(data)
        most = SECONDS + SECONDS_A_BYTE * len(data)
        if thread_time() - begun > most:
            least = min(_seconds(check, data) for _ in range(_TIMES))
            require(least <= most, f"{len(data)} bytes took {least:.3f} s of CPU time, over {most:.3f} s")

    return one


def _seconds(check: Check, data: bytes) -> float:
    begun = thread_time()
    check(data)
    return thread_time() - begun
