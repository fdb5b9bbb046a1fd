"""What each process runs at the moment, and which requests ended one: in memory that the processes share.

An engine may end its process on some values (an integer division that overflows, memory that the system does not have).
Who starts the processes then has nothing but what was written before. To write down each request costs more than many
models do, so it is done for a while after a process has crashed, and only then: `watching` says whether now is such a
time. A request that was alone in a process when it crashed, and was there at another crash, is refused for a while.
One that merely shared the process is a suspect: it is run by itself next, and forgotten where it is answered.
"""

import mmap
import struct
from collections.abc import Iterable, Sequence
from typing import Final

DIGEST_BYTES: Final = 16
#: The requests that a process can be seen to run at once; of more, the first.
MOST_RUNNING: Final = 512
MOST_SUSPECTS: Final = 512
#: Crashes with a request at work, one of them with no other beside it, after which it is refused.
CRASHES_TO_REFUSE: Final = 2

_FREE: Final = bytes(DIGEST_BYTES)
#: Until when runs are watched, in monotonic seconds, and behind it how often the suspects have changed.
_UNTIL: Final = struct.Struct("d")
_CHANGES: Final = struct.Struct("Q")
_HEAD_BYTES: Final = _UNTIL.size + _CHANGES.size
#: Digest, crashes alone, crashes beside others, and until when it is refused, in monotonic seconds.
_SUSPECT: Final = struct.Struct("16sIId")


class RunRecord:
    """Of so many processes, each by its slot. Make it before forking."""

    def __init__(self, slots: int) -> None:
        self._running = _HEAD_BYTES
        self._suspects = self._running + slots * MOST_RUNNING * DIGEST_BYTES
        self._memory = mmap.mmap(-1, self._suspects + MOST_SUSPECTS * _SUSPECT.size)
        self._seen = -1
        # Place, and until when it is refused, by digest: as the memory had it when it last changed.
        self._known: dict[bytes, tuple[int, float]] = {}

    # For the parent.

    def watch(self, until: float) -> None:
        """Let all processes write down what they run until then, in monotonic seconds."""
        _UNTIL.pack_into(self._memory, 0, until)

    def blame(self, slot: int, until: float) -> int:
        """A process has crashed: note what it ran, refuse what is proven until then, and return how many it was."""
        start = self._running + slot * MOST_RUNNING * DIGEST_BYTES
        places = range(start, start + MOST_RUNNING * DIGEST_BYTES, DIGEST_BYTES)
        found = {self._memory[at : at + DIGEST_BYTES] for at in places} - {_FREE}
        self._memory[start : places.stop] = bytes(MOST_RUNNING * DIGEST_BYTES)
        for digest in found:
            self._suspect(digest, until, alone=len(found) == 1)
        if found:
            self._changed()
        return len(found)

    def _suspect(self, digest: bytes, until: float, *, alone: bool) -> None:
        at, by_itself, beside = self._place(digest)
        by_itself, beside = by_itself + alone, beside + (not alone)
        refused = by_itself > 0 and by_itself + beside >= CRASHES_TO_REFUSE
        _SUSPECT.pack_into(self._memory, at, digest, by_itself, beside, until if refused else 0.0)

    def _place(self, digest: bytes) -> tuple[int, int, int]:
        """Where a suspect is noted, or is to be, and its crashes: its own place, a free one, or that of the least."""
        least, chosen = (MOST_SUSPECTS, 0), self._suspects
        for at in range(self._suspects, len(self._memory), _SUSPECT.size):
            known, by_itself, beside, _ = _SUSPECT.unpack_from(self._memory, at)
            if known == digest:
                return at, by_itself, beside
            rank = (0, 0) if known == _FREE else (by_itself + 1, beside)
            if rank < least:
                least, chosen = rank, at
        return chosen, 0, 0

    # For the processes.

    def watching(self, now: float) -> bool:
        """Whether runs are to be written down."""
        until: float = _UNTIL.unpack_from(self._memory)[0]
        return now < until

    def begin(self, slot: int, free: list[int], digests: Iterable[bytes]) -> list[int]:
        """Note requests whose run begins; their places are taken out of the process's `free` ones, and returned."""
        start = self._running + slot * MOST_RUNNING * DIGEST_BYTES
        places = []
        for digest in digests:
            if not free:
                break
            place = free.pop()
            at = start + place * DIGEST_BYTES
            self._memory[at : at + DIGEST_BYTES] = digest
            places.append(place)
        return places

    def end(self, slot: int, free: list[int], places: Sequence[int]) -> None:
        """Their run is over."""
        start = self._running + slot * MOST_RUNNING * DIGEST_BYTES
        for place in places:
            at = start + place * DIGEST_BYTES
            self._memory[at : at + DIGEST_BYTES] = _FREE
            free.append(place)

    def refused_until(self, digest: bytes) -> float | None:
        """Until when a request is refused, in monotonic seconds: 0 for a mere suspect, None for any other."""
        changes = _CHANGES.unpack_from(self._memory, _UNTIL.size)[0]
        if changes != self._seen:
            self._seen = changes
            self._known = {
                known: (at, until)
                for at in range(self._suspects, len(self._memory), _SUSPECT.size)
                for known, _, _, until in (_SUSPECT.unpack_from(self._memory, at),)
                if known != _FREE
            }
        found = self._known.get(digest)
        return None if found is None else found[1]

    def acquit(self, digest: bytes) -> None:
        """A suspect was answered."""
        found = self._known.get(digest)
        if found is not None and self._memory[found[0] : found[0] + DIGEST_BYTES] == digest:
            _SUSPECT.pack_into(self._memory, found[0], _FREE, 0, 0, 0.0)
            self._changed()

    def _changed(self) -> None:
        changes = _CHANGES.unpack_from(self._memory, _UNTIL.size)[0]
        _CHANGES.pack_into(self._memory, _UNTIL.size, changes + 1)
