"""A middleware that does to its process what the first value of a request says."""

import ctypes
import os
import signal

from septet.types import Done, Pending, Predictor, Request

#: Ends the process at once; holds the interpreter, which no thread of it can go on without; stops the process.
KILLS, HOLDS, STOPS = 666.0, 777.0, 888.0
HELD_MICROSECONDS = 2_500_000


class Misbehaving(Predictor):
    """Does what it is told, then lets the model answer."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner

    def submit(self, request: Request, done: Done) -> Pending:
        """Do it."""
        value = float(next(iter(request.tensors.values())).ravel()[0])
        if value == KILLS:
            os.kill(os.getpid(), signal.SIGKILL)
        elif value == HOLDS:
            ctypes.PyDLL(None).usleep(HELD_MICROSECONDS)
        elif value == STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        return self._inner.submit(request, done)
