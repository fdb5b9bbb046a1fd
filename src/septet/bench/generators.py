"""The processes that put loads on a server: each has a thread, a loop and, where possible, a core of its own."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import uvloop

from septet.bench import load_engine
from septet.bench.load import Load, LoadPlan, share
from septet.bench.recording import Recording, joined
from septet.errors import SeptetError, Unavailable
from septet.runtimes.quota import cpus

_ENDED = "A load generator ended; memory may have been short. Try a shorter --duration."


class Generators:
    """Processes that wait for loads; a context manager.

    Attributes:
        plan: where requests go, and what they are.
    """

    def __init__(self, plan: LoadPlan, processes: int = 1, cores: Sequence[int] = ()) -> None:
        """Args: `cores` are the CPUs to stay on, one for each process; empty where the system decides."""
        self.plan = plan
        self._processes = processes
        self._cores = cores
        self._children: list[multiprocessing.process.BaseProcess] = []
        self._pipes: list[Connection[Any, Any]] = []

    def __enter__(self) -> Self:
        # Spawned, not forked: nothing of this process's engines or threads goes along.
        context = multiprocessing.get_context("spawn")
        for index in range(self._processes):
            ours, theirs = context.Pipe()
            core = self._cores[index] if index < len(self._cores) else None
            child = context.Process(target=_generate, args=(theirs, self.plan, index, self._processes, core))
            child.daemon = True
            child.start()
            theirs.close()
            self._children.append(child)
            self._pipes.append(ours)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()  # the child's wait for the next load ends with it
        for child in self._children:
            if error is not None:
                child.terminate()
            child.join()
            child.close()

    def measure(self, load: Load, progress: Callable[[int, int], None]) -> Recording:
        """Put a load on the server; `progress` is told how many requests were answered and failed so far.

        Raises:
            Unavailable: the server cannot be connected to, or a generator ended.
        """
        for index, pipe in enumerate(self._pipes):
            try:
                pipe.send(share(load, index, self._processes))
            except ConnectionError:
                raise Unavailable(_ENDED) from None
        told = [(0, 0)] * len(self._pipes)
        recordings: dict[int, Recording] = {}
        while len(recordings) < len(self._pipes):
            ready = wait([each for at, each in enumerate(self._pipes) if at not in recordings])
            for at in [at for at, each in enumerate(self._pipes) if each in ready]:
                message = _received(self._pipes[at])
                if isinstance(message, Recording):
                    recordings[at] = message
                else:
                    told[at] = message
                    progress(sum(answered for answered, _ in told), sum(failed for _, failed in told))
        return joined([recordings[at] for at in sorted(recordings)])


def _received(pipe: "Connection[Any, Any]") -> Any:
    try:
        message = pipe.recv()
    except (EOFError, ConnectionError):
        raise Unavailable(_ENDED) from None
    if isinstance(message, str):
        raise Unavailable(message)
    return message


def _generate(pipe: "Connection[Any, Any]", plan: LoadPlan, index: int, processes: int, core: int | None) -> None:
    """Answer each load with what was recorded, or with why it could not be, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    poll = cpus() > processes  # else it would take the time of the server, which may be here
    if core is not None:
        os.sched_setaffinity(0, {core})
    offset = index * len(plan.payloads) // processes
    while True:
        try:
            load = pipe.recv()
        except (EOFError, ConnectionError):
            return
        work = load_engine.run_load(
            load,
            plan,
            offset=offset,
            phase=index / processes,
            poll=poll,
            progress=lambda answered, failed: pipe.send((answered, failed)),
        )
        try:
            pipe.send(uvloop.run(work))
        except SeptetError as exc:
            pipe.send(exc.message)
        except asyncio.CancelledError:
            return
