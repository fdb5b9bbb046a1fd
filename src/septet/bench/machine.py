"""Where and with what figures were taken; without it they say nothing."""

import os
import platform
from importlib import metadata
from pathlib import Path

import msgspec

CPUINFO = Path("/proc/cpuinfo")
LIBRARIES = ("septet", "httptools", "uvloop", "numpy")


class Machine(msgspec.Struct, frozen=True):
    """The machine of the load generator, and its libraries' versions. `usable_cores` are those it may run on."""

    cpu: str
    cores: int
    usable_cores: int
    system: str
    python: str
    versions: dict[str, str]


def machine(cpuinfo: Path = CPUINFO) -> Machine:
    """Describe this machine."""
    return Machine(
        cpu=_cpu(cpuinfo),
        cores=os.cpu_count() or 1,
        usable_cores=len(usable_cores()) or os.cpu_count() or 1,
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={name: metadata.version(name) for name in LIBRARIES},
    )


def usable_cores() -> list[int]:
    """Return the CPUs that this process may run on, in order; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _cpu(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
