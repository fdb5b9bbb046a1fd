"""The process beside a worker that keeps its leases, as the worker sees it.

A model may hold the interpreter for a minute, so that no thread of the worker gets a turn. So another process beats for
it. That process knows at once when the worker has ended, and lets others have its jobs; where the worker is stopped, it
does not beat.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from secrets import token_hex
from socket import gethostname

import msgspec

from septet.errors import StartupError
from septet.queues.lease_keeper import KeeperOrder
from septet.queues.store_address import StoreAddress

logger = logging.getLogger("septet.jobs")


class LeaseKeeping:
    """Starts the lease keeper of this process, and hears from it.

    Attributes:
        name: the worker's, which no other has had.
    """

    def __init__(self, store: StoreAddress, models: Sequence[str], lease_seconds: float) -> None:
        self.name = f"{gethostname()[:64]}-{os.getpid()}-{token_hex(8)}"
        self._order = KeeperOrder(store, self.name, os.getpid(), tuple(models), lease_seconds)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self, on_cancelled: Callable[[Sequence[str]], None], on_lost: Callable[[], None]) -> None:
        """Begin to keep leases; the worker has joined its store when this returns.

        `on_cancelled` is called with jobs that somebody wants ended, `on_lost` when the leases are another's.
        """
        command = (sys.executable, "-m", "septet.queues.lease_keeper")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the lease keeper has no pipes")
        process.stdin.write(msgspec.json.encode(self._order) + b"\n")
        await process.stdin.drain()
        joined = await process.stdout.readline()
        if joined != b'"joined"\n':
            raise StartupError("the process that keeps the leases of jobs could not begin; the log says why")
        self._listening = asyncio.create_task(self._listen(process.stdout, on_cancelled, on_lost))

    async def leave(self) -> None:
        """Stop keeping leases; what is in hand was given back before, or is by the keeper."""
        process, self._process = self._process, None
        if self._listening is not None:
            self._listening.cancel()
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()

    async def _listen(
        self,
        stdout: asyncio.StreamReader,
        on_cancelled: Callable[[Sequence[str]], None],
        on_lost: Callable[[], None],
    ) -> None:
        while line := await stdout.readline():
            told = msgspec.json.decode(line)
            if isinstance(told, list):
                on_cancelled(told)
        logger.warning("the leases of the worker %s are lost; it ends, and another takes its place", self.name)
        on_lost()
