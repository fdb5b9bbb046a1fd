"""Fails when a source file is too long to be one noun, or a tracked file too large for a repository."""

import subprocess
import sys
from pathlib import Path

REVIEW_LINES = 400
MOST_LINES = 500
MOST_BYTES = 1_000_000


def tracked() -> list[Path]:
    """Every file that git knows, without those deleted in the work tree."""
    names = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    return [path for path in map(Path, names.split("\0")) if path.is_file()]


def complaints(path: Path) -> list[str]:
    """What is wrong with one file."""
    found = []
    if path.stat().st_size > MOST_BYTES:
        found.append(f"{path}: {path.stat().st_size} bytes, the limit is {MOST_BYTES}")
    if path.suffix == ".py":
        lines = len(path.read_bytes().splitlines())
        if lines > MOST_LINES:
            found.append(f"{path}: {lines} lines, the limit is {MOST_LINES}; split it by noun")
        elif lines > REVIEW_LINES and path.parts[0] == "src":
            print(f"{path}: {lines} lines; is it still one noun?")
    return found


def main() -> int:
    """Print every complaint; exit 1 if there is one."""
    found = [complaint for path in tracked() for complaint in complaints(path)]
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
