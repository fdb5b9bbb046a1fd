"""What callers have used of their API keys, over all worker processes: shared memory without locks, as metrics are.

A name has one entry, which whoever needs it first takes: entries are found by the hash of the name, and by trying the
next one where that is taken. Each worker has a row in which it alone writes: how many requests of each name are in
flight, and how many were let in and refused. When a name may ask next is one cell for all workers.

Two workers may read a cell before either has written it. Of requests that they let in within the same microseconds one
may then not be counted against the rate, and as many more than the limit may be in flight as there are workers. An
entry that two have taken for different names at once is taken again by the one that finds the other's name there.
"""

import hashlib
import mmap
from collections.abc import Iterable
from typing import Final

import msgspec

#: Names that a server can tell apart, all its life.
ENTRIES: Final = 4096
_CELL_BYTES: Final = 8
# A float64 holds whole numbers of so many bits.
_ID_BITS: Final = 52
# Of a row, in so many cells each; and of the part that all share.
_IN_FLIGHT, _ADMITTED, _LIMITED, _PER_ROW = 0, ENTRIES, 2 * ENTRIES, 3 * ENTRIES
_IDS, _DUE, _SHARED = 0, ENTRIES, 2 * ENTRIES


class KeyCount(msgspec.Struct, frozen=True):
    """How many requests of a key were let in, were refused for its limits, and are under way."""

    name: str
    admitted: float
    limited: float
    in_flight: float


class KeyUsage:
    """For `slots` processes that are forked later; with `shared` off, for the calling process and no other."""

    def __init__(self, slots: int = 1, *, shared: bool = True) -> None:
        size = (_SHARED + slots * _PER_ROW) * _CELL_BYTES
        self.cells = memoryview(mmap.mmap(-1, size) if shared else bytearray(size)).cast("d")
        self.slots = slots

    def claim(self, slot: int = 0) -> "WorkerKeyUsage":
        """The calling process counts in this slot from now on; no other living process may hold it."""
        self.release(slot)
        return WorkerKeyUsage(self, slot)

    def release(self, slot: int) -> None:
        """The process in a slot is gone, and what it had in flight; what it has counted stays."""
        start = _SHARED + slot * _PER_ROW + _IN_FLIGHT
        for at in range(start, start + ENTRIES):
            if self.cells[at]:
                self.cells[at] = 0.0

    def counts(self, names: Iterable[str]) -> list[KeyCount]:
        """What was counted for these names."""
        found = []
        for name in names:
            entry = self.entry(name)
            found.append(KeyCount(name, *(self.total(entry, part) for part in (_ADMITTED, _LIMITED, _IN_FLIGHT))))
        return found

    def total(self, entry: int, part: int) -> float:
        """A number of an entry, summed over all processes."""
        start = _SHARED + part + entry
        return sum(self.cells[start : start + self.slots * _PER_ROW : _PER_ROW])

    def entry(self, name: str) -> int:
        """The entry of a name, taken for it where it has none; where all are taken, it shares that of another."""
        wanted = name_id(name)
        for tried in range(ENTRIES):
            entry = (wanted + tried) % ENTRIES
            owner = self.cells[_IDS + entry]
            if owner == wanted:
                return entry
            if not owner:
                self.cells[_IDS + entry] = float(wanted)
                return entry
        return wanted % ENTRIES


class WorkerKeyUsage:
    """The usage as one process sees it, and counts it. Call it from one thread only."""

    def __init__(self, usage: KeyUsage, slot: int) -> None:
        self._usage = usage
        self._row = _SHARED + slot * _PER_ROW
        # By name: its id, and its entry.
        self._known: dict[str, tuple[int, int]] = {}

    def entry(self, name: str) -> int:
        """The entry of a name, for the methods below."""
        known = self._known.get(name)
        if known is not None and self._usage.cells[_IDS + known[1]] == known[0]:
            return known[1]
        entry = self._usage.entry(name)
        self._known[name] = (name_id(name), entry)
        return entry

    def in_flight(self, entry: int) -> float:
        """The requests under way in all processes."""
        return self._usage.total(entry, _IN_FLIGHT)

    def begin(self, entry: int) -> None:
        """A request is let in."""
        cells, row = self._usage.cells, self._row
        cells[row + _IN_FLIGHT + entry] += 1.0
        cells[row + _ADMITTED + entry] += 1.0

    def end(self, entry: int) -> None:
        """A request that was let in is over."""
        self._usage.cells[self._row + _IN_FLIGHT + entry] -= 1.0

    def refuse(self, entry: int) -> None:
        """A request is refused."""
        self._usage.cells[self._row + _LIMITED + entry] += 1.0

    def due(self, entry: int) -> float:
        """When the next request is due by the rate, in monotonic seconds."""
        return self._usage.cells[_DUE + entry]

    def set_due(self, entry: int, due: float) -> None:
        """Move that."""
        self._usage.cells[_DUE + entry] = due


def name_id(name: str) -> int:
    """A number that stands for a name, from 1."""
    return (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> (64 - _ID_BITS)) or 1
