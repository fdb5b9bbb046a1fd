"""A process that keeps the leases of one worker: it beats while the worker lives, and reaps those that do not beat.

`python -m septet.queues.lease_keeper` reads a `KeeperOrder` as one line of JSON, joins, and writes a line: `"joined"`,
and then a list of the jobs that somebody wants ended, whenever there are some. It ends when its input does, or when the
leases are lost.

Whether another worker still lives is judged by its beats alone, and by this process's monotonic clock: no jump of a
clock loses a lease or keeps one for ever. An outage of the store loses none either: judging begins anew after it.
"""

import logging
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time
from typing import Final

import msgspec

from septet.errors import SeptetError
from septet.queues.job_store import JobStore, StoreFailed
from septet.queues.store_address import StoreAddress, open_store

#: How often a worker beats in the time of a lease.
BEATS: Final = 4
#: The jobs that are forgotten or expired with a beat.
MOST_SWEPT: Final = 1000
# The states of a process that runs nothing, as Linux has them: stopped, traced, dead.
_STANDING: Final = frozenset("TtZX")

logger = logging.getLogger("septet.jobs")


class KeeperOrder(msgspec.Struct, frozen=True):
    """What a lease keeper is told: its store, whom it beats for, and for how many seconds a lease is good."""

    store: StoreAddress
    worker: str
    pid: int
    models: tuple[str, ...]
    lease_seconds: float


class LeaseKeeper:
    """Beats for one worker, and watches the others; `clock` is in seconds of any monotonic clock."""

    def __init__(
        self,
        store: JobStore,
        order: KeeperOrder,
        standing: Callable[[int], bool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._order = order
        self._standing = standing
        self._clock = clock
        # The last beat that was seen of each worker, and when it was new.
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = clock()

    def look(self) -> list[str] | None:
        """Beat, reap those that do not, and sweep; the jobs that somebody wants ended, or None: the leases are lost."""
        store, order, now = self._store, self._order, time()
        cancelling: list[str] = []
        if not self._standing(order.pid):
            wanted = store.beat(order.worker, now)
            if wanted is None:
                return None
            cancelling = list(wanted)
        self._reap_others()
        store.sweep(now, MOST_SWEPT)
        return cancelling

    def end(self) -> None:
        """The worker has ended: let others have at once what it had begun."""
        for each in self._store.workers():
            if each.id == self._order.worker:
                self._store.reap(each.id, each.beat, time())

    def _reap_others(self) -> None:
        now, seen = self._clock(), {}
        if now - self._looked > self._order.lease_seconds:
            # While the store was away, or this process stood still, nobody could show it that he lives.
            self._seen = {}
        self._looked = now
        for each in self._store.workers():
            beat, since = self._seen.get(each.id, (each.beat, now))
            seen[each.id] = (each.beat, since if beat == each.beat else now)
            if now - seen[each.id][1] > self._order.lease_seconds:
                lost = self._store.reap(each.id, each.beat, time())
                logger.warning("the worker %s has not beaten; its %d jobs are others' now", each.id, len(lost))
        self._seen = seen


def is_standing(pid: int) -> bool:
    """Whether a process is stopped or dead; where the system does not tell, it is not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in _STANDING


def keep(order: KeeperOrder, store: JobStore, *, input_descriptor: int, output: int) -> None:
    """Keep the leases until the input ends, or until they are lost."""
    keeper = LeaseKeeper(store, order, is_standing)
    store.join(order.worker, order.models, time())
    _write(output, "joined")
    while True:
        readable, _, _ = select.select([input_descriptor], [], [], order.lease_seconds / BEATS)
        if readable and not os.read(input_descriptor, 1):
            keeper.end()
            return
        try:
            cancelling = keeper.look()
        except StoreFailed as error:
            logger.warning("the leases of %s cannot be kept now: %s", order.worker, error.message)
            continue
        if cancelling is None:
            return
        if cancelling:
            _write(output, cancelling)


def _write(output: int, told: str | list[str]) -> None:
    os.write(output, msgspec.json.encode(told) + b"\n")


def main() -> int:
    """Read the order and keep it."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=KeeperOrder)
    try:
        store = open_store(order.store)
    except SeptetError as error:
        logger.error("%s", error.message)  # noqa: TRY400 - the message says all
        return 1
    try:
        keep(order, store, input_descriptor=sys.stdin.fileno(), output=sys.stdout.fileno())
    except (SeptetError, BrokenPipeError) as error:
        logger.error("the leases of %s are given up: %s", order.worker, error)  # noqa: TRY400 - as above
        return 1
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
