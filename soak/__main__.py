"""Soak: mixed good, bad and abandoned traffic, live releases and killed workers: `python -m soak --help`."""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from soak.models import Versions
from soak.rounds import FLAT, MOST_UNDER_WAY, WARM_UP, SoakedServer, SoakRound

_ROUND_SECONDS = 30.0
_LEAST_ROUNDS = 2
COLUMNS = (
    *("workers", "kills", "releases", "sent", "counted", "cut", "abandoned", "incomplete", "rows", "MB"),
    *("descriptors", "broken"),
)
EXPLAINED = f"""Without a kill, sent and counted are equal, by transport and code, but for large requests that are
abandoned in the midst: each of these may be counted or not. A kill takes the counts of one turn of the event loop
along, of at most {MOST_UNDER_WAY} requests, and each request that it cuts may be counted or not. Memory and
descriptors are judged from round {WARM_UP + 1} on."""


def main() -> None:
    """Parse, soak, report; exit code 1 where a promise is broken."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    done: list[SoakRound] = []
    with tempfile.TemporaryDirectory() as folder:
        versions = Versions(Path(folder))
        seconds = options.minutes * 60 / len(options.workers)
        rounds = max(int(seconds / _ROUND_SECONDS), _LEAST_ROUNDS)
        for workers in options.workers:
            done += SoakedServer(versions, workers, options.out).run(seconds, rounds)
    report = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "minutes": options.minutes,
        "rounds": [asdict(each) for each in done],
    }
    (options.out / "soak.json").write_text(json.dumps(report, indent=1))
    text = as_text(done)
    (options.out / "soak.md").write_text(text)
    print(text)
    if any(each.broken for each in done):
        sys.exit(1)


def as_text(done: list[SoakRound]) -> str:
    """The report for people."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for each in done:
        if each.sent:
            figures = (each.workers, each.kills, each.releases, each.sent, each.counted, each.cut)
            more = (
                each.abandoned,
                each.incomplete,
                each.checked_rows,
                each.weight.megabytes,
                each.weight.descriptors,
                len(each.broken),
            )
            lines.append("| " + " | ".join(f"{figure:,}" for figure in (*figures, *more)) + " |")
        else:
            lines.append(f"\n{each.workers} workers: {each.kinds}; at most {FLAT:g} times is kept to\n")
    kinds: Counter[str] = Counter()
    for each in done:
        kinds.update({kind: count for kind, count in each.kinds.items() if each.sent})
    lines.append(f"\nRequests by kind: {', '.join(f'{kind} {count:,}' for kind, count in sorted(kinds.items()))}.")
    lines.append(EXPLAINED)
    lines += [f"\nBROKEN ({each.workers} workers): {text}" for each in done for text in each.broken]
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description="Mixed good, bad and abandoned traffic over HTTP/1.1 and gRPC, with live releases and killed "
        "workers. Every answer is checked row by row, every request is counted, memory and descriptors are weighed.",
    )
    parser.add_argument("--minutes", type=float, default=60, help="of all servers together (60)")
    parser.add_argument("--workers", type=_numbers, default=[1, 3], help="servers, by their workers (1,3)")
    parser.add_argument("--out", type=Path, default=Path(".soak"), help="folder for the report and the logs (.soak)")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


if __name__ == "__main__":
    main()
