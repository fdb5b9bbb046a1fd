"""A closed loop: wrk on a core of its own keeps connections busy, after the answers were proven right."""

import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.forms import Form, FormBody
from benchmarks.models import BenchmarkModel
from benchmarks.process import CLIENT_CORE, Process, pinned, post

SCRIPT = Path(__file__).parent / "load.lua"


@dataclass(frozen=True)
class Sample:
    """What one window of load showed; times in milliseconds, CPU time of the server in microseconds a request."""

    requests_per_second: float
    p50: float
    p90: float
    p99: float
    requests: int
    errors: int
    cpu: float


def load(
    process: Process,
    body: FormBody,
    folder: Path,
    *,
    connections: int,
    seconds: float,
    cores: Sequence[int] = (CLIENT_CORE,),
) -> Sample:
    """Keep `connections` busy for that long, rounded to whole seconds, from a thread for each core, and report."""
    content, headers = folder / "load.body", folder / "load.headers"
    content.write_bytes(body.content)
    headers.write_text("".join(f"{name}: {value}\n" for name, value in body.headers.items()))
    options = [f"-t{len(cores)}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command = ["wrk", *options, "-s", str(SCRIPT), f"http://127.0.0.1:{process.port}{body.path}"]
    before = process.cpu_seconds()
    done = subprocess.run(
        pinned(",".join(map(str, cores)), command),
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "BODY": str(content), "HEADERS": str(headers)},
    )
    spent = process.cpu_seconds() - before
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED "))
    measured: dict[str, Any] = json.loads(line.removeprefix("MEASURED "))
    requests = measured["requests"]
    return Sample(
        requests_per_second=requests / (measured["microseconds"] / 1e6),
        p50=measured["p50"] / 1000,
        p90=measured["p90"] / 1000,
        p99=measured["p99"] / 1000,
        requests=requests,
        errors=measured["errors"],
        cpu=spent / max(1, requests) * 1e6,
    )


def verify(
    process: Process, form: Form, model: BenchmarkModel, expected: NDArray[Any], *, rows: int = 1, clients: int = 32
) -> int:
    """Ask with different rows from many clients at once; each must get the engine's own numbers. Returns how many.

    Raises:
        RuntimeError: an answer was wrong.
    """
    starts = list(range(0, len(model.rows) - rows + 1, rows))
    bodies = {start: form.body(model, model.rows[start : start + rows]) for start in starts}

    def wrong(start: int) -> str | None:
        status, answer, headers = post(process.port, bodies[start])
        wanted = expected[start : start + rows]
        if status == 200:
            got = form.read(model, answer, headers)
            if got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-4, atol=1e-5):
                return None
        return f"row {start}: {status} {answer[:300]!r}, expected {wanted.ravel()[:8].tolist()}"

    asked = [starts[index % len(starts)] for index in range(clients * 8)]
    with ThreadPoolExecutor(clients) as pool:
        failures = [failure for failure in pool.map(wrong, asked) if failure]
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(asked)} answers are wrong; the first: {failures[0]}")
    return len(asked)
