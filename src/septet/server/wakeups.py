"""What a process that supervises others waits for: signals, words on pipes, and the clock."""

import contextlib
import selectors
import signal
import socket
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Self

from septet.server.prompt_end import Interruption, requests

CHUNK_BYTES = 4096


def handled() -> tuple[signal.Signals, ...]:
    """The signals that a supervisor acts on, or leaves without effect (a function: Windows lacks some)."""
    return (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD, *requests())


class Wakeups:
    """A context manager, for the main thread.

    A signal arrives as a byte on a socket, which ends the wait, and its handler notes the number: a flood of signals
    that fills the socket hides none.
    """

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair()
        self._arrived: deque[int] = deque()
        # `poll` keeps no descriptor of its own that a forked child would share.
        self._selector = selectors.PollSelector()

    def __enter__(self) -> Self:
        for end in (self._receiving, self._sending):
            end.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._selector.register(self._receiving, selectors.EVENT_READ)
        self._fd_before = signal.set_wakeup_fd(self._sending.fileno(), warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, self._note) for number in handled()}
        for number, handler in self._handlers_before.items():
            # It came before, but its exception was lost.
            if isinstance(handler, Interruption) and handler.arrived:
                self._arrived.append(number)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._selector.close()
        self._receiving.close()
        self._sending.close()

    @property
    def descriptors(self) -> list[int]:
        """What a forked child must close."""
        return [self._receiving.fileno(), self._sending.fileno()]

    def add(self, descriptor: int) -> None:
        """Wake up when this can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ)

    def remove(self, descriptor: int) -> None:
        """Wake up for this no more."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)

    def wait(self, seconds: float) -> tuple[set[int], list[int]]:
        """The descriptors that can be read and the signals that arrived, after at most so many seconds."""
        ready = {key.fd for key, _ in self._selector.select(0.0 if self._arrived else max(0.0, seconds))}
        with contextlib.suppress(BlockingIOError):
            while self._receiving.recv(CHUNK_BYTES):
                pass
        return ready - {self._receiving.fileno()}, list(self._signals())

    def _signals(self) -> Iterator[int]:
        while self._arrived:
            yield self._arrived.popleft()

    def _note(self, number: int, _: FrameType | None) -> None:
        self._arrived.append(number)
