"""One measurement: wrk on a core of its own, after the answers were proven right."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.model import ROWS
from benchmarks.process import CLIENT_CORE, pinned, post

SCRIPT = Path(__file__).parent / "post.lua"


@dataclass(frozen=True)
class Sample:
    """What one window of load showed; times in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float
    requests: int
    errors: int


def load(port: int, path: str, body: Path, *, connections: int, seconds: float) -> Sample:
    """Keep `connections` busy for that long and report."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(SCRIPT)]
    done = subprocess.run(
        pinned(CLIENT_CORE, [*command, f"http://127.0.0.1:{port}{path}"]),
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "BODY": str(body)},
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED "))
    measured: dict[str, Any] = json.loads(line.removeprefix("MEASURED "))
    return Sample(
        requests_per_second=measured["requests"] / (measured["microseconds"] / 1e6),
        p50=measured["p50"] / 1000,
        p99=measured["p99"] / 1000,
        requests=measured["requests"],
        errors=measured["errors"],
    )


def verify(port: int, path: str, bodies: list[bytes], expected: NDArray[np.float32], *, clients: int = 32) -> int:
    """Ask with different rows from many clients at once; each must get the engine's own numbers. Returns how many.

    Raises:
        RuntimeError: an answer was wrong.
    """
    rows = [index % len(ROWS) for index in range(clients * 8)]

    def wrong(row: int) -> str | None:
        status, answer = post(port, path, bodies[row])
        got = json.loads(answer)["prediction"] if status == 200 else None
        if got is not None and np.allclose(got, expected[row : row + 1], rtol=1e-5, atol=1e-6):
            return None
        return f"row {row}: {status} {answer[:300]!r}, expected {expected[row].tolist()}"

    with ThreadPoolExecutor(clients) as pool:
        failures = [failure for failure in pool.map(wrong, rows) if failure]
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(rows)} answers are wrong; the first: {failures[0]}")
    return len(rows)
