"""The oracle by hand: `python -m tests.oracle.run --turns 3 [--from 1] [NAME ...]`; prints each finding."""

import argparse
import collections
import logging
import time

from tests.oracle.answers import examined
from tests.oracle.estimators import fitted, names


def main() -> None:
    """Examine estimators and print what is not as it must be, then how often each kind was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kinds: collections.Counter[str] = collections.Counter()
    for turn in range(given.first, given.first + given.turns):
        for name in given.names or names():
            begun = time.perf_counter()
            made = fitted(name, turn)
            if made is None:
                print(f"-- {name} {turn}: fits nothing")
                continue
            ready = time.perf_counter()
            found = examined(made)
            spent = time.perf_counter() - ready
            if spent > 3.0 or ready - begun > 3.0:
                print(f"-- {name} {turn}: fit {ready - begun:.1f} s, examined {spent:.1f} s")
            kinds.update({finding.kind for finding in found} or {"as it must be"})
            if found:
                print(f"## {name} {turn}: {made.made[:400]}")
            for kind in sorted({finding.kind for finding in found}):
                of_kind = [finding for finding in found if finding.kind == kind]
                print(f"   {kind} ({len(of_kind)}): {of_kind[0].what[:400]}", flush=True)
    for kind, count in kinds.most_common():
        print(f"{count:5} {kind}")


main()
