"""What a server's processes hold: memory and file descriptors, from /proc."""

import contextlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Weight:
    """Of a process and all below it: PSS in MB (shared pages count once), open descriptors, processes."""

    megabytes: float
    descriptors: int
    processes: int


def weigh(pid: int) -> Weight:
    """The weight of a process and of all below it, now."""
    megabytes, descriptors, processes = 0.0, 0, 0
    pids = [pid]
    while pids:
        process = Path(f"/proc/{pids.pop()}")
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines = (process / "smaps_rollup").read_text().splitlines()
            megabytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
            descriptors += len(list((process / "fd").iterdir()))
            processes += 1
            for task in (process / "task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    return Weight(round(megabytes, 1), descriptors, processes)
