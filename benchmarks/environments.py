"""An environment for each server: installed once, from the versions that `requirements/` pins."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "benchmarks" / "requirements"
SEPTET = {"septet": "", "septet-grpc": "[grpc]"}


def environment(name: str, cache: Path) -> Path:
    """Make the environment `name` unless it is there; return its Python.

    Raises:
        RuntimeError: it cannot be installed; the message says why.
    """
    place = cache / "environments" / name
    python, stamp = place / "bin" / "python", place / "stamp"
    pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    source = ROOT / "constraints.txt" if name in SEPTET else REQUIREMENTS / f"{name}.txt"
    # What Septet needs stands in its project file.
    project = (ROOT / "pyproject.toml").read_bytes() if name in SEPTET else b""
    wanted = hashlib.sha256(source.read_bytes() + project).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {name} ...", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(place)])
        given = ["-c", str(source), f"{ROOT}{SEPTET[name]}"] if name in SEPTET else ["-r", str(source)]
        _run([*pip, *given])
        stamp.write_text(wanted)
    elif name in SEPTET:
        _run([*pip, "--force-reinstall", "--no-deps", str(ROOT)])
    return python


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
