"""Ending at a signal also while the main thread is in native code, where no handler of Python's runs."""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

#: Exit codes as shells have them, for a process that SIGINT ends, or SIGTERM.
INTERRUPTED, TERMINATED = 130, 143
#: For the handlers, which clean up, before the process is ended without them.
PATIENCE_SECONDS = 1.0


class Interruption:
    """A handler that ends the process by SystemExit where the signal finds it.

    A KeyboardInterrupt would not do: where it has passed through `exec`, as it may while modules are imported, Python
    ends the process by SIGINT at its end, though the exception was caught.

    Attributes:
        code: the exit code.
        arrived: the signal has. The exception may be lost where Python calls back from native code or a finalizer, or
            another error may have been made of it.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self.arrived = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        """Handle the signal."""
        self.arrived = True
        raise SystemExit(self.code)


@contextlib.contextmanager
def handling(handlers: Mapping[int, Interruption]) -> Iterator[None]:
    """Handle these signals within the block, unless whoever started the process has them ignored.

    Elsewhere than in the main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is handlers[number]:
                signal.signal(number, handler)


@contextlib.contextmanager
def prompt_end(codes: Mapping[int, int], *, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """End the process by the signals of `codes`, with their exit codes, whatever the block does.

    Their handlers have `patience` seconds; a second signal leaves them no time. A signal without a handler ends the
    process anyway. A thread waits for the signals, which has ended when the block has: what follows may fork. Elsewhere
    than in the main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    before = signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
    watching = threading.Thread(target=_watch, args=(receiving, codes, patience), name="septet-signals", daemon=True)
    try:
        watching.start()
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(sending)
        watching.join()
        os.close(receiving)


def ignore_requests() -> None:
    """Take no signal for an end that asks a server for something else, before it runs or after."""
    for number in requests():
        signal.signal(number, signal.SIG_IGN)


def requests() -> tuple[signal.Signals, ...]:
    """The signals that ask servers for something: to read files again, to open logs again (Windows lacks them)."""
    return tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))


def _watch(receiving: int, codes: Mapping[int, int], patience: float) -> None:
    while received := os.read(receiving, 1):
        if (code := codes.get(received[0])) is None:
            continue
        if patience > 0:
            # Until it closes (the block has ended), another signal, or too long.
            waiting = select.poll()
            waiting.register(receiving, select.POLLIN)
            if waiting.poll(patience * 1000) and not os.read(receiving, 1):
                return
        os._exit(code)
