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
from septet.server.prompt_end import ignore_requests
from septet.server.wakeups import handled
from septet.server.worker_context import WorkerContext

StartWorker: TypeAlias = Callable[[WorkerContext], int]

CRASHED, CANNOT_START = 1, 2
#: From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1


def fork(start: StartWorker, context: WorkerContext, *, parent_pipe: int, parent_descriptors: Sequence[int]) -> int:
    """Start a worker in a new process and return its id.

    `parent_pipe` is the reading end of a pipe whose writing end closes with the parent; `parent_descriptors` are the
    parent's own, which the child closes.
    """
    _flush_streams()
    # Signals wait until the child has its own handlers, so that none is lost in the parent's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled())
    try:
        pid = os.fork()
        if pid == 0:
            _run(start, context, _ParentState(parent_pipe, parent_descriptors, mask))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


class _ParentState(msgspec.Struct, frozen=True):
    """What a child needs to know of its parent."""

    parent_pipe: int
    parent_descriptors: Sequence[int]
    mask: set[int]


def _run(start: StartWorker, context: WorkerContext, parent: _ParentState) -> NoReturn:
    """Run the worker and end the process, whatever happens: the parent's code must never run in a child."""
    code = CRASHED
    try:
        _detach_from_parent(parent)
        code = start(context)
    except StartupError as error:
        context.fail(error.message)
        code = CANNOT_START
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else CRASHED
    except BaseException:
        logging.getLogger("septet").exception("worker %d (process %d) failed", context.index, os.getpid())
    finally:
        _flush_streams()
        os._exit(code)


def _flush_streams() -> None:
    """Write what was printed, so that it is not written twice: nowhere, where a stream is closed or full."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _detach_from_parent(parent: _ParentState) -> None:
    """Drop what belongs to the parent, and end this process when the parent ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A terminal sends both to the whole group; the parent decides what they mean.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    ignore_requests()
    for descriptor in parent.parent_descriptors:
        os.close(descriptor)
    if sys.platform == "linux":
        # Ends even a worker whose interpreter is stuck in an engine.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_exit_with_parent, args=(parent.parent_pipe,), name="septet-parent", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, parent.mask)


def _exit_with_parent(parent_pipe: int) -> None:
    """Wait for the parent's end, however it comes: no orphan may hold the port."""
    os.read(parent_pipe, 1)
    os._exit(CRASHED)
