"""How many CPUs this process may really use: its affinity and its control groups' quotas, not the machine's count.

The kernel tells a process's group in `/proc/self/cgroup` and where hierarchies of groups are mounted in
`/proc/self/mountinfo`. A quota holds for a group and all groups below, so the smallest on the way from the process's
own group up to the root of the mount counts. Both versions of the interface are read, also beside each other: the
quota is `cpu.max` (cgroup-v2) or `cpu.cfs_quota_us` over `cpu.cfs_period_us` (cgroup-v1). systemd's `CPUQuota` is one
of them.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_OCTAL = re.compile(r"\\([0-7]{3})")


class _Mount(NamedTuple):
    """A mounted hierarchy: of which version, which of its groups is mounted, and at which path."""

    version: int
    group: PurePosixPath
    point: str


def cpus(root: Path = Path("/")) -> int:
    """The CPUs that this process may use at the same time, at least 1; a fraction counts as a whole one.

    `root` is the directory that holds `proc` and everything that is mounted.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(root), default=math.inf)
    return max(1, allowed if quota >= allowed else math.ceil(quota))


def threads_for(workers: int, wanted: int = 0) -> int:
    """The threads of one of `workers` processes: its share of the CPUs, or `wanted` if that is not 0."""
    return wanted or max(1, cpus() // workers)


def _quotas(root: Path) -> Iterator[float]:
    """The quota, in CPUs, of every group that this process is in and that can be read."""
    groups = _groups(_lines(root / "proc/self/cgroup"))
    for mount in _mounts(_lines(root / "proc/self/mountinfo")):
        own = groups.get(mount.version)
        # A mount may show other groups than those that this process is in.
        if own is None or ".." in own.parts or not own.is_relative_to(mount.group):
            continue
        folder = root / mount.point.lstrip("/")
        below = own.relative_to(mount.group)
        for each in (below, *below.parents):
            quota = _quota(folder / each, mount.version)
            if quota is not None:
                yield quota


def _groups(lines: list[str]) -> dict[int, PurePosixPath]:
    """This process's group in the hierarchy that has the controller `cpu`, by version of the interface."""
    found = {}
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found[2] = PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            found[1] = PurePosixPath(path)
    return found


def _mounts(lines: list[str]) -> Iterator[_Mount]:
    """The mounted hierarchies that may have quotas (man 5 proc_pid_mountinfo)."""
    for line in lines:
        before, _, behind = line.partition(" - ")
        place, kind = before.split(" "), behind.split(" ")
        if len(place) < 6 or len(kind) < 3:  # noqa: PLR2004 - the fields before the optional ones, and behind the dash
            continue
        group, point = (_OCTAL.sub(lambda found: chr(int(found[1], 8)), text) for text in place[3:5])
        if kind[0] == "cgroup2":
            yield _Mount(2, PurePosixPath(group), point)
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            yield _Mount(1, PurePosixPath(group), point)


def _quota(group: Path, version: int) -> float | None:
    """A group's own quota in CPUs; None where it has none, as the root never has (kernel: cgroup-v2, sched-bwc)."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        if version == 2:  # noqa: PLR2004
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit, period = ((group / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
        quota = math.inf if limit == "max" else int(limit) / int(period)
        return quota if 0 < quota < math.inf else None
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
