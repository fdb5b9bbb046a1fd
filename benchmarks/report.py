"""What was measured, as Markdown for people and JSON for programs."""

import json
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.measuring import Sample

Samples = dict[str, dict[int, list[Sample]]]  # contender -> connections -> one sample for each round


def machine() -> dict[str, str]:
    """The host, without its name."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    wrk = subprocess.run(["wrk", "-v"], check=False, capture_output=True, text=True).stdout.split(" [")[0]
    return {
        "cpu": cpu[0].partition(": ")[2] if cpu else platform.machine(),
        "cores": str(len(cpu)),
        "memory": f"{int(memory) / 1e6:.1f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "client": f"{wrk}, one thread, on a core of its own",
    }


def spread(values: list[float], form: str) -> str:
    """Median, and the least and the greatest in brackets."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def ratios(samples: Samples, name: str, connections: int, of: Callable[[Sample], float]) -> list[float]:
    """One contender's figure over the baseline's in the same round."""
    pairs = zip(samples[name][connections], samples[BASELINE][connections], strict=True)
    return [of(mine) / of(theirs) for mine, theirs in pairs]


def markdown(facts: dict[str, Any], samples: Samples) -> str:
    """The whole report."""
    lines = [
        "# One small model, one row a request",
        "",
        *(f"- {key}: {value}" for key, value in facts["setting"].items()),
        *(f"- {key}: {value}" for key, value in facts["machine"].items()),
        f"- versions: {', '.join(f'{name} {version}' for name, version in facts['versions'].items())}",
        "",
        "Each cell is the median of the rounds, with the least and the greatest in brackets. The rounds alternate",
        f"between the contenders; a ratio is taken within a round, against {BASELINE}, and its median shown.",
    ]
    for connections in sorted(next(iter(samples.values()))):
        lines += ["", f"## {connections} connection{'s' if connections > 1 else ''}", ""]
        lines += ["| | requests/s | ratio | p50 ms | p50 ratio | p99 ms | errors |", "|---|---|---|---|---|---|---|"]
        lines += [_row(samples, each.name, connections) for each in CONTENDERS if each.name in samples]
    lines += [
        "",
        "## Start and memory",
        "",
        "| | start to first answer, s | PSS of the largest process, MB | of all, MB |",
    ]
    lines += ["|---|---|---|---|"]
    for name, cold in facts["cold_start_seconds"].items():
        weights = facts["memory_megabytes"][name]
        lines.append(f"| {name} | {spread(cold, '.2f')} | {weights[0]:.0f} | {sum(weights):.0f} |")
    return "\n".join(lines) + "\n"


def _row(samples: Samples, name: str, connections: int) -> str:
    taken = samples[name][connections]
    rates = spread([each.requests_per_second for each in taken], ",.0f")
    p50, p99 = spread([each.p50 for each in taken], ".3f"), spread([each.p99 for each in taken], ".3f")
    faster = statistics.median(ratios(samples, name, connections, lambda each: each.requests_per_second))
    slower = statistics.median(ratios(samples, name, connections, lambda each: each.p50))
    errors = sum(each.errors for each in taken)
    return f"| {name} | {rates} | {faster:.2f} | {p50} | {slower:.2f} | {p99} | {errors} |"


def write(folder: Path, name: str, facts: dict[str, Any], samples: Samples) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = {
        who: {str(c): [asdict(each) for each in rounds] for c, rounds in by.items()} for who, by in samples.items()
    }
    (folder / f"{name}.json").write_text(json.dumps({**facts, "samples": taken}, indent=1) + "\n")
    (folder / f"{name}.md").write_text(markdown(facts, samples))
