"""A supervised pool whose workers answer lines, for the tests to start as a process.

Arguments: `workers hang_seconds grace_seconds behaviour-file`. The file's text says how a starting worker behaves:
`work`, `refuse` (cannot start), `die`, `raise` and `exit` (end before they are ready); with `crowded` the system at
first has no process to spare. A worker answers `pid` with its process id, `slow` with the same a little later, `count`
with what all workers counted: requests, restarts and requests in flight; `stick` makes its loop stand still, `leave`
makes it end well, and with `renew` it says that a run in it does not end.
"""

import asyncio
import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from septet.errors import StartupError
from septet.events import Finished
from septet.monitoring.log import configure
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.worker_metrics import WorkerMetrics
from septet.server.listener import bind
from septet.server.release_messages import ReleaseOrder
from septet.server.supervisor import SupervisionPolicy, supervise
from septet.server.worker_context import WorkerContext


class Lines:
    def __init__(self, context: WorkerContext, counts: WorkerMetrics) -> None:
        self.context = context
        self.counts = counts
        self.leaving = asyncio.Event()
        self.open: set[asyncio.Task[None] | None] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(asyncio.current_task())
        command = (await reader.readline()).decode().strip()
        self.counts.turned(1, ())
        if command == "stick":
            writer.write(b"stuck\n")
            await writer.drain()
            time.sleep(3600)  # noqa: ASYNC251 - this is the fault
        if command == "slow":
            await asyncio.sleep(1)
        if command == "leave":
            self.leaving.set()
        if command == "renew":
            self.context.stuck()
        self.counts.turned(0, [Finished("/line", "id", "ok", 200, 1, 0.001)])
        snapshot = self.context.shared_metrics.snapshot()
        count = f"{snapshot.requests.sum():.0f} {snapshot.restarts:.0f} {snapshot.in_flight:.0f}"
        writer.write(f"{count if command == 'count' else os.getpid()}\n".encode())
        await writer.drain()
        writer.close()
        self.open.discard(asyncio.current_task())

    async def run(self) -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.leaving.set)
        server = await asyncio.start_server(self.answer, sock=self.context.sockets[0])
        self.context.ready()
        while not self.leaving.is_set():
            self.context.beat()
            try:
                await asyncio.wait_for(self.leaving.wait(), timeout=0.1)
            except TimeoutError:
                continue
        server.close()
        # A connection accepted in this very turn has no task yet: it takes some turns, however long they are.
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.gather(*(task for task in self.open if task is not None))
        return 0


class NoFiles:
    """Nothing to release."""

    def changed(self, *, settled: bool) -> Sequence[ReleaseOrder]:  # noqa: ARG002 - the protocol's signature
        return ()

    def released(self, index: int, order: ReleaseOrder) -> None:
        """Remember nothing."""


def behave(file: Path) -> None:
    match file.read_text():
        case "refuse":
            raise StartupError("the model is broken")
        case "die":
            os._exit(3)
        case "raise":
            raise ValueError("a defect")
        case "exit":
            sys.exit(4)


def crowded(fork: Callable[[], int]) -> Callable[[], int]:
    refusals = iter(range(2))

    def refuse_first() -> int:
        if next(refusals, None) is None:
            return fork()
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    return refuse_first


def main(workers: str, hang_seconds: str, grace_seconds: str, behaviour: str) -> int:
    configure(style="text")

    def start(context: WorkerContext) -> int:
        behave(Path(behaviour))
        return asyncio.run(Lines(context, context.shared_metrics.claim(context.slot)).run())

    if Path(behaviour).read_text() == "crowded":
        os.fork = crowded(os.fork)
    sockets = bind("127.0.0.1", 0, backlog=128)
    sys.stdout.write(f"{sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    policy = SupervisionPolicy(
        workers=int(workers), grace_seconds=float(grace_seconds), hang_seconds=float(hang_seconds)
    )
    try:
        return supervise(
            start,
            lambda: logging.getLogger("septet").info("all ready"),
            sockets=sockets,
            layout=MetricsLayout(["/line"], ["ok"]),
            policy=policy,
            files=NoFiles(),
        )
    except StartupError as error:
        logging.getLogger("septet").error(error.message)  # noqa: TRY400 - a message for people
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
