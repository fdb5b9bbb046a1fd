"""Jobs under faults, at length: `python -m soak.jobs --help`."""

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from soak.jobs.ledger import Trial
from soak.jobs.trials import STORES, TRIALS


def main() -> None:
    """Parse, try, report; exit code 1 where a promise is broken."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    done: list[Trial] = []
    for name in options.only:
        # Only an embedded store has a file of its own.
        for kind in options.stores if name != "writers" else ("sqlite",):
            done.append(TRIALS[name](kind, options.out, options.jobs, options.minutes))
            print(as_text(done[-1:]), flush=True)
    report = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "trials": [asdict(each) for each in done],
    }
    (options.out / "jobs.json").write_text(json.dumps(report, indent=1))
    (options.out / "jobs.md").write_text(as_text(done))
    if any(each.broken for each in done):
        sys.exit(1)


def as_text(done: list[Trial]) -> str:
    """The report for people."""
    lines = []
    for each in done:
        figures = ", ".join(f"{what} {figure:,}" for what, figure in each.figures.items())
        lines.append(f"{each.name}, {each.store}: {figures}")
        lines += [f"BROKEN {text}" for text in each.broken]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m soak.jobs",
        description="Jobs whose servers, workers and Redis are killed, that hold the interpreter or raise, and whose "
        "file several processes write. Every job that was acknowledged is counted, and the bytes of bodies and answers "
        "are compared.",
    )
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS), help="which faults (all)")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES), help="which stores (both)")
    parser.add_argument("--jobs", type=int, default=1000, help="of the faults that count jobs (1000)")
    parser.add_argument("--minutes", type=float, default=10, help="of the faults that last for a time (10)")
    parser.add_argument("--out", type=Path, default=Path(".soak"), help="folder for files, logs and the report (.soak)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
