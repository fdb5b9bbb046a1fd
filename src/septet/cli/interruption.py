"""Signals that end a command while it works."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Raises KeyboardInterrupt where a signal finds the command; a context manager that gives the handlers back.

    Attributes:
        code: the exit code by which the command is to end; None before a signal. Native code that Python called back
            may make another error of the exception, or none.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def by(self, number: int, code: int) -> Self:
        """End by this signal with this exit code, unless whoever started the command has it ignored."""

        def interrupt(_: int, __: FrameType | None) -> None:
            self.code = code
            raise KeyboardInterrupt

        if signal.getsignal(number) is not signal.SIG_IGN:
            self._before[number] = signal.signal(number, interrupt)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
