"""Fuzz every decoder and both transports: `python -m fuzzing --help`."""

import argparse
import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

from fuzzing.campaign import Campaign, distil
from fuzzing.targets import TARGETS, check_of


def main() -> None:
    """Parse, fuzz, report; exit code 1 where a promise is broken."""
    options = parse()
    targets = options.targets or list(TARGETS)
    if options.input:
        asyncio.set_event_loop(asyncio.new_event_loop())
        for target in targets:
            check_of(target)(options.input.read_bytes())
        return
    if options.distil:
        for target in targets:
            distil(options.corpus, target)
        return
    if find_spec("atheris") is None:
        sys.exit("Fuzzing is guided by coverage, which atheris watches: pip install --group fuzz (Linux, x86-64).")
    seconds = int(options.minutes * 60 * options.jobs / len(targets)) if options.minutes else 0
    done = Campaign(options.corpus, options.inputs // len(targets), seconds, options.jobs).run(targets)
    print(f"{sum(each.inputs for each in done):,} inputs; report: {options.corpus / 'report.json'}")
    broken = [each.target for each in done if each.log]
    if broken:
        sys.exit(f"Broken: {', '.join(broken)}; each again by `python -m fuzzing TARGET --input FILE`")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzzing",
        description="Fuzz every decoder and both transports, guided by coverage.",
        epilog=f"targets: {' '.join(TARGETS)}",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="one or more targets; all by default")
    parser.add_argument("--inputs", type=int, default=10_000_000, help="of all targets together (10 million)")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many, however many inputs that are")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    parser.add_argument(
        "--corpus", type=Path, default=Path(".fuzzing"), help="folder of the inputs, which grows (.fuzzing)"
    )
    parser.add_argument("--input", type=Path, help="try this one file with the target, and nothing else")
    parser.add_argument("--distil", action="store_true", help="write the smallest of the corpus to fuzzing/corpus")
    options = parser.parse_args()
    options.corpus = options.corpus.resolve()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {' '.join(TARGETS)}")
    return options


if __name__ == "__main__":
    main()
