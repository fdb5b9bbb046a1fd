"""Forking a worker process, and what it does before and after its work."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

import msgspec

from septet.errors import StartupError
from septet.server.wakeups import handled
from septet.server.worker_context import WorkerContext

Start: TypeAlias = Callable[[WorkerContext], int]

CRASHED, REFUSED = 1, 2
#: From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1


def fork(start: Start, context: WorkerContext, *, life: int, foreign: Sequence[int]) -> int:
    """Start a worker in a new process and return its id.

    `life` is a pipe's reading end that closes with the parent; `foreign` are the parent's descriptors, which the
    child closes.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Signals wait until the child has its own handlers, so that none is lost in the parent's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled())
    try:
        pid = os.fork()
        if pid == 0:
            _work(start, context, _ParentState(life, foreign, mask))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


class _ParentState(msgspec.Struct, frozen=True):
    """What a child needs to know of its parent."""

    life: int
    foreign: Sequence[int]
    mask: set[int]


def _work(start: Start, context: WorkerContext, birth: _ParentState) -> NoReturn:
    """Run the worker and end the process, whatever happens: the parent's code must never run in a child."""
    code = CRASHED
    try:
        _leave_home(birth)
        code = start(context)
    except StartupError as error:
        context.fail(error.message)
        code = REFUSED
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else CRASHED
    except BaseException:
        logging.getLogger("septet").exception("worker %d (process %d) failed", context.index, os.getpid())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _leave_home(birth: _ParentState) -> None:
    """Drop what belongs to the parent, and tie this process to its life."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A terminal sends both to the whole group; the parent decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for descriptor in birth.foreign:
        os.close(descriptor)
    if sys.platform == "linux":
        # Ends even a worker whose interpreter is stuck in an engine.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with, args=(birth.life,), name="septet-parent", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, birth.mask)


def _end_with(life: int) -> None:
    """Wait for the parent's end, however it comes: no orphan may hold the port."""
    os.read(life, 1)
    os._exit(CRASHED)
