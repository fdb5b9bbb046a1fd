"""Targets one after the other or beside each other, each in a process of its own, and what became of them."""

import json
import platform
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha1
from itertools import accumulate
from pathlib import Path

from fuzzing.mutations import MOST_BYTES
from fuzzing.seeds import keep, seeds

ROOT = Path(__file__).parents[1]
#: A process that stands still is ended by libFuzzer after so many seconds, and one that has so much memory.
HUNG_SECONDS = 30
MOST_MEGABYTES = 2000
#: Bytes of the inputs of a target that are committed.
KEPT_BYTES = 8_000
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+) ft: (\d+)")


@dataclass(frozen=True)
class FuzzedTarget:
    """What one process did.

    Attributes:
        inputs: that were tried.
        covered: edges of the code that was watched.
        corpus: inputs in its folder now, each of which reaches something that no other does.
        found: files with the inputs that break a promise.
        log: the end of what it wrote, where it found something.
    """

    target: str
    inputs: int
    seconds: float
    covered: int
    corpus: int
    found: list[str] = field(default_factory=list)
    log: str = ""


@dataclass(frozen=True)
class Campaign:
    """What is asked of every target: so many inputs, at most so many seconds of them; so many targets at a time."""

    folder: Path
    inputs: int
    seconds: int
    jobs: int

    def run(self, targets: list[str]) -> list[FuzzedTarget]:
        """Fuzz them, and write the report."""
        (self.folder / "found").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            done = list(pool.map(self._fuzz, targets))
        report = {
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "inputs": sum(each.inputs for each in done),
            "targets": [asdict(each) for each in done],
        }
        (self.folder / "report.json").write_text(json.dumps(report, indent=1))
        return done

    def _fuzz(self, target: str) -> FuzzedTarget:
        corpus = _filled(self.folder, target)
        before = set(self.folder.glob(f"found/{target}-*"))
        options = [f"-runs={self.inputs}", f"-max_total_time={self.seconds}", "-print_final_stats=1", "-reload=0"]
        options += [f"-max_len={MOST_BYTES}", f"-timeout={HUNG_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}"]
        options += [f"-artifact_prefix={self.folder}/found/{target}-"]
        begun = time.monotonic()
        done = _guided(target, *options, str(corpus))
        log = done.stdout
        executed, covered = _EXECUTED.findall(log), _COVERED.findall(log)
        found = sorted(set(self.folder.glob(f"found/{target}-*")) - before)
        made = FuzzedTarget(
            target,
            int(executed[-1]) if executed else 0,
            round(time.monotonic() - begun, 1),
            int(covered[-1][0]) if covered else 0,
            len(list(corpus.iterdir())),
            [str(path) for path in found],
            _told(log) if found or done.returncode else "",
        )
        print(as_text(made), flush=True)
        return made


def as_text(done: FuzzedTarget) -> str:
    """One line, and what was found."""
    line = f"{done.target:16}{done.inputs:>10,} inputs  {done.seconds:>7.0f} s  {done.covered:>6} edges"
    return f"{line}  {done.corpus:>5} in the corpus" + (f"\n{done.log}\n{done.found}" if done.log else "")


def distil(folder: Path, target: str) -> None:
    """Write the smallest inputs of a target's folder, each of which reached new code, to the committed corpus."""
    inputs = sorted((path.read_bytes() for path in (folder / target).iterdir()), key=lambda data: (len(data), data))
    sizes = accumulate(map(len, inputs))
    keep(target, [data for data, size in zip(inputs, sizes, strict=True) if size <= KEPT_BYTES])


def _told(log: str) -> str:
    """The traceback, or the end where there is none."""
    _, mark, traceback = log.partition(" === Uncaught Python exception: ===")
    return traceback.partition("==")[0][:3000] if mark else log[-3000:]


def _filled(folder: Path, target: str) -> Path:
    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds(target):
        (corpus / sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return corpus


def _guided(target: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fuzzing.guided", target, *options]
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
