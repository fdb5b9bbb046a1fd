"""A middleware that does to its process what the first value of a request says, for as long as the second one says."""

import ctypes
import os
import signal
import time

from septet.types import Done, Pending, Predictor, Request

#: Ends the process at once; holds the interpreter, which no thread of it can go on without; stops the process.
KILLS, HOLDS, STOPS = 666.0, 777.0, 888.0
#: Takes its time, in which other threads go on; raises an error that nobody expects.
SLEEPS, RAISES = 555.0, 444.0
_MICROSECONDS = 1e6


class Misbehaving(Predictor):
    """Does what it is told, then lets the model answer."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner

    def submit(self, request: Request, done: Done) -> Pending:
        """Do it; the second value is in seconds."""
        value, seconds, *_ = map(float, next(iter(request.tensors.values())).ravel())
        if value == KILLS:
            os.kill(os.getpid(), signal.SIGKILL)
        elif value == HOLDS:
            ctypes.PyDLL(None).usleep(int(seconds * _MICROSECONDS))
        elif value == STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif value == SLEEPS:
            time.sleep(seconds)
        elif value == RAISES:
            raise ArithmeticError("it was told to raise")
        return self._inner.submit(request, done)
