"""How many CPUs this process may really use: affinity and the cgroup's quota, not the machine's core count."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpus(cgroup: Path = CGROUP) -> int:
    """The CPUs that this process may use at the same time, at least 1; a fraction counts as a whole one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return allowed if quota is None else max(1, min(allowed, quota))


def threads_for(workers: int, wanted: int = 0) -> int:
    """The threads of one of `workers` processes: its share of the CPUs (C-30), or `wanted` if that is not 0."""
    return wanted or max(1, cpus() // workers)


def _quota(cgroup: Path) -> int | None:
    """The cgroup's CPU quota in whole CPUs, rounded up; None where there is none (kernel docs: cgroup-v2, cpu.max)."""
    try:
        if (cgroup / "cpu.max").exists():
            limit, period = (cgroup / "cpu.max").read_text().split()
        else:
            limit, period = (
                (cgroup / "cpu" / f"cpu.cfs_{what}_us").read_text().strip() for what in ("quota", "period")
            )
        return None if limit in ("max", "-1") else -(-int(limit) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
