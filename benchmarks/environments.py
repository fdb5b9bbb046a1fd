"""An environment for each server: installed once, from the versions that `requirements/` pins."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "benchmarks" / "requirements"
SEPTET = {"septet": "", "septet-grpc": "[grpc]", "septet-jobs": "[jobs,redis]"}
BEFORE = "-before"


def environment(name: str, cache: Path, before: str = "") -> Path:
    """Make the environment `name` unless it is there; return its Python. `before` is the commit of those so called.

    Raises:
        RuntimeError: it cannot be installed; the message says why.
    """
    place = cache / "environments" / name
    tree, name = (ROOT, name) if not name.endswith(BEFORE) else (_tree(before, cache), name.removesuffix(BEFORE))
    python, stamp = place / "bin" / "python", place / "stamp"
    pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    source = tree / "constraints.txt" if name in SEPTET else REQUIREMENTS / f"{name}.txt"
    # What Septet needs stands in its project file.
    project = (tree / "pyproject.toml").read_bytes() if name in SEPTET else b""
    wanted = hashlib.sha256(source.read_bytes() + project).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {name} ...", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(place)])
        given = ["-c", str(source), f"{tree}{SEPTET[name]}"] if name in SEPTET else ["-r", str(source)]
        _run([*pip, *given])
        stamp.write_text(wanted)
    elif name in SEPTET:
        _run([*pip, "--force-reinstall", "--no-deps", str(tree)])
    return python


def _tree(commit: str, cache: Path) -> Path:
    """The files of a commit."""
    if not commit:
        raise RuntimeError("is measured where --before names a commit")
    place = cache / "commits" / commit
    if not place.exists():
        place.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=False, capture_output=True)
        if archive.returncode:
            place.rmdir()
            raise RuntimeError(f"there is no commit {commit}")
        subprocess.run(["tar", "-x", "-C", str(place)], check=True, input=archive.stdout)
    return place


def versions(python: Path) -> dict[str, str]:
    """What is installed there."""
    listing = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"],
        check=True,
        capture_output=True,
    )
    return {each["name"].lower(): each["version"] for each in json.loads(listing.stdout)}


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cannot be installed: {done.stderr.strip()[-300:]}")
