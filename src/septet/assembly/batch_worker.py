"""A process that does units of a run: `python -m septet.assembly.batch_worker`, led over its standard input and output.

It ends with its leader, whatever becomes of that one: a unit that it goes on with might be done by another one, too.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from septet.assembly.loading import load_service, refuse_stale
from septet.batch_runs.batch_order import source_schema
from septet.batch_runs.row_scoring import runs_together
from septet.batch_runs.run_output import RunOutput
from septet.batch_runs.unit_work import UnitWork
from septet.batch_runs.worker_messages import (
    BeginRun,
    DoUnit,
    FromBatchWorker,
    LoadModel,
    ModelLoaded,
    RowsRead,
    ToBatchWorker,
    UnitDone,
    WorkFailed,
    encoded,
)
from septet.errors import SeptetError
from septet.service import Service
from septet.settings.resolution import from_values

# Of a batch that is told at once, so that a leader of many is not kept busy by their words.
_TELL_SECONDS: Final = 0.2

logger = logging.getLogger("septet.batch")


class BatchWorker:
    """Does what it is told, one after the other."""

    def __init__(self, tell: BinaryIO) -> None:
        self._tell = tell
        self._service: Service | None = None
        self._work: UnitWork | None = None
        self._plan: BeginRun | None = None
        self._rows = self._bad = 0
        self._told_at = 0.0

    async def follow(self, orders: "queue.Queue[ToBatchWorker]") -> int:
        """Follow orders until the process ends."""
        loop = asyncio.get_running_loop()
        while True:
            order = await loop.run_in_executor(None, orders.get)
            if isinstance(order, LoadModel):
                if not self._load(order):
                    return 1
            elif isinstance(order, BeginRun):
                self._begin(order)
            else:
                await self._do(order)

    def _load(self, order: LoadModel) -> bool:
        try:
            settings = from_values(order.settings)
            service = load_service(Path(order.model), settings)
            refuse_stale(service, settings)
            reason = service.merging().reason
            if not runs_together(service):
                # Rows that wait are not to be run together, as a server runs them within a tolerance.
                service.close()
                alone = msgspec.structs.replace(settings.model, max_batch_rows=1)
                service = load_service(Path(order.model), msgspec.structs.replace(settings, model=alone))
        except SeptetError as error:
            self._say(WorkFailed(None, error.message))
            return False
        self._service = service
        self._say(ModelLoaded(service.identity, service.signature, runs_together(service), reason))
        return True

    def _begin(self, order: BeginRun) -> None:
        if self._service is None:
            raise RuntimeError("no model was loaded")
        self._plan = order
        output = RunOutput(order.plan, order.run, self._service.signature, source_schema(order.plan))
        self._work = UnitWork(order.plan, self._service, output, self._read)

    async def _do(self, order: DoUnit) -> None:
        if self._work is None or self._plan is None:
            raise RuntimeError("no run was begun")
        try:
            result = await self._work.do(self._plan.plan.units[order.unit])
        except SeptetError as error:
            self._say(WorkFailed(order.unit, error.message))
        except OSError as error:
            self._say(WorkFailed(order.unit, f"{error.strerror or error}: {error.filename or self._plan.plan.target}"))
        except Exception as error:
            logger.exception("unit %d failed", order.unit)
            self._say(WorkFailed(order.unit, f"{type(error).__name__}: {error}"))
        else:
            self._say(RowsRead(self._rows, self._bad))
            self._rows = self._bad = 0
            self._say(UnitDone(result))

    def _read(self, rows: int, bad_rows: int) -> None:
        self._rows += rows
        self._bad += bad_rows
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._say(RowsRead(self._rows, self._bad))
            self._rows = self._bad = 0

    def _say(self, message: FromBatchWorker) -> None:
        self._tell.write(encoded(message))
        self._tell.flush()


def _orders(stream: BinaryIO, orders: "queue.Queue[ToBatchWorker]") -> None:
    try:
        decoder = msgspec.json.Decoder(ToBatchWorker)
        for line in stream:
            orders.put(decoder.decode(line))
    finally:
        os._exit(1)


def main() -> int:
    """Follow the orders on standard input."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    # What a model prints is not for the leader.
    tell = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    orders: queue.Queue[ToBatchWorker] = queue.Queue()
    threading.Thread(target=_orders, args=(sys.stdin.buffer, orders), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        return asyncio.run(BatchWorker(tell).follow(orders))
    return 1


if __name__ == "__main__":
    sys.exit(main())
