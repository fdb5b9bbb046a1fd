"""What was measured, as Markdown for people and JSON for programs."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.environments import versions
from benchmarks.servers import SERVERS

SHOWN = (
    *("septet", "onnxruntime", "numpy", "msgspec", "uvicorn", "httptools", "uvloop", "grpcio", "protobuf", "fastapi"),
    *(
        "pydantic",
        "starlette",
        "orjson",
        "mosec",
        "litserve",
        "mlserver",
        "bentoml",
        "mlflow",
        "nvidia-pytriton",
        "ray",
    ),
    *("apsw", "redis", "hiredis", "celery", "kombu", "dramatiq", "taskiq", "taskiq-redis", "arq", "huey"),
)


@dataclass(frozen=True)
class ReportTable:
    """Rows of cells below heads."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def markdown(self) -> list[str]:
        """Its lines."""
        lines = [["", f"## {self.title}", ""]] if self.title else [[""]]
        cells = [self.heads, ("---",) * len(self.heads), *self.rows]
        return [*(line for part in lines for line in part), *(f"| {' | '.join(row)} |" for row in cells)]


@dataclass(frozen=True)
class BenchmarkReport:
    """One question and its answers.

    Attributes:
        title: the question.
        setting: how it was measured, by what is told of it.
        tables: the figures.
        samples: every single measurement, for programs.
        absent: servers that could not be measured, and why.
        notes: what a reader must know.
        failures: what should not have been measured; the run then ends with an error.
    """

    title: str
    setting: dict[str, str]
    tables: list[ReportTable]
    samples: Any
    absent: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def spread(values: Sequence[float], form: str) -> str:
    """Median, and the least and the greatest in brackets; a dash where nothing was measured."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def ratio(mine: Sequence[float], theirs: Sequence[float], form: str = ".2f") -> str:
    """Median and range of the ratios within each round; a dash where one of both was not measured."""
    return spread([a / b for a, b in zip(mine, theirs, strict=False) if b], form)


def machine() -> dict[str, str]:
    """The host, without its name."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpu": cpu[0].partition(": ")[2] if cpu else platform.machine(),
        "cores": str(len(cpu) or os.cpu_count()),
        "memory": f"{int(memory) / 1e6:.1f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load generators": f"{_first_line('wrk', '-v')}; {_first_line('h2load', '--version')}; septet bench",
    }


def write(folder: Path, name: str, bench: Bench, report: BenchmarkReport) -> str:
    """Write both files; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    host = machine()
    host["load at the end"] = f"{os.getloadavg()[0]:.1f} runnable processes over the last minute"
    installed = {
        name: {package: version for package, version in versions(python).items() if package in SHOWN}
        for name, python in bench.pythons.items()
    }
    facts = {
        "question": report.title,
        "quick": bench.quick,
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "setting": report.setting,
        "machine": host,
        "versions": installed,
        "absent": report.absent,
        "samples": report.samples,
    }
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1, default=vars) + "\n")
    text = _markdown(bench, report, host, installed)
    (folder / f"{name}.md").write_text(text)
    return text


def _markdown(bench: Bench, report: BenchmarkReport, host: dict[str, str], installed: dict[str, dict[str, str]]) -> str:
    lines = [f"# {report.title}", ""]
    if bench.quick:
        lines += ["**A quick run, only to see that it works: its figures mean nothing.**", ""]
    lines += [f"- {key}: {value}" for key, value in {**report.setting, **host}.items()]
    for name, packages in installed.items():
        lines.append(f"- versions, {name}: {', '.join(f'{each} {version}' for each, version in packages.items())}")
    lines += [
        "",
        f"Cells are medians of {bench.rounds} rounds, with the least and the greatest in brackets. The contenders take",
        "turns within each round, in alternating order; a ratio is taken within a round. Disregard differences under",
        "15 %.",
    ]
    for note in report.notes:
        lines += ["", note]
    for table in report.tables:
        lines += table.markdown()
    if report.absent:
        lines += ["", "## Not measured", ""]
        lines += [
            f"- {SERVERS[name].title if name in SERVERS else name}: {_brief(reason)}"
            for name, reason in report.absent.items()
        ]
    return "\n".join(lines) + "\n"


def _brief(reason: str) -> str:
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return " ... ".join([lines[0], *lines[-1:]])[:400] if len(lines) > 1 else reason[:400]


def _first_line(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stdout.splitlines() or [command[0]])[0].split(" [")[0].strip()
