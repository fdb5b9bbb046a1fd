"""What is being done, for the person who waits at a terminal; nothing where nobody does."""

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

from septet.printable import printable

_ERASE = "\r\x1b[K"


class Progress:
    """One line on standard error that is rewritten once a second, and erased at the end.

    A context manager; `quiet` where the result itself is written to the terminal as it comes. No
    thread is behind it: a server forks its workers while its model is loading.
    """

    def __init__(
        self,
        text: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._last = clock()
        self._shown = not quiet and self._stream.isatty()
        self._text = text

    def __enter__(self) -> Self:
        self._write(self._text)
        return self

    def __exit__(self, *_: object) -> None:
        self.done()

    def step(self, text: str) -> None:
        """Say how far it is, if the last word is a second old."""
        now = self._clock()
        if now - self._last >= 1:
            self._last = now
            self._write(f"{self._text} {text}")

    def done(self) -> None:
        """Erase the line; what follows is the result."""
        if self._shown:
            self._put(_ERASE)
            self._shown = False

    def _write(self, line: str) -> None:
        if self._shown:
            self._put(_ERASE + printable(line))

    def _put(self, text: str) -> None:
        # A terminal that is gone needs no progress, and what is done goes on.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
