"""An open loop: requests are due at a rate whatever the server does.

Two generators. `paced` is `septet bench`: it counts time from when a request was due, for rates that a generator in
Python can keep. `flooded` is h2load: it keeps more connections busy at higher rates, and says what was answered how.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.forms import Body
from benchmarks.process import CLIENT_CORE, Process, pinned


@dataclass(frozen=True)
class Paced:
    """What callers saw at a rate; times in milliseconds from when a request was due.

    `limited` says why the figures show the generator rather than the server; empty where they do not.
    """

    rate: float
    answered_per_second: float
    failed: int
    p50: float
    p99: float
    limited: str


@dataclass(frozen=True)
class Flooded:
    """What a server did with more load than it can serve; rates a second, times in milliseconds from when sent.

    Times are None where nothing was answered so.

    Attributes:
        offered: requests sent; less than were asked for where every connection waited for an answer.
        accepted, refused, failed: answered with 200; with 429 or 503; in another way, or not at all.
    """

    asked: float
    offered: float
    accepted: float
    refused: float
    failed: float
    accepted_p50: float | None
    accepted_p99: float | None
    refused_p50: float | None
    refused_p99: float | None


def paced(process: Process, body: Body, folder: Path, *, rate: float, seconds: float) -> Paced:
    """Send `rate` requests a second, evenly spaced.

    Raises:
        RuntimeError: the load could not be made.
    """
    command = [sys.executable, "-m", "septet", "bench", f"http://127.0.0.1:{process.port}", "--path", body.path]
    command += ["--body", str(body.save(folder, "paced")), "--content-type", body.headers["content-type"]]
    command += ["--rate", f"{rate:.3f}", "--connections", "64", "--duration", f"{seconds:g}", "--warmup", "0.5"]
    done = subprocess.run(
        pinned(str(CLIENT_CORE), [*command, "--no-pin", "--json", "-"]), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"septet bench: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout)["measurements"][0]
    times = found["response"]["percentiles"]
    return Paced(
        rate,
        found["throughput"],
        found["failed"],
        times["p50"] * 1000,
        times["p99"] * 1000,
        "; ".join(found["client_limits"]),
    )


def flooded(process: Process, body: Body, folder: Path, *, rate: float, connections: int, seconds: float) -> Flooded:
    """Ask for `rate` requests a second over so many connections.

    Raises:
        RuntimeError: no request was sent.
    """
    log = folder / "flood.log"
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t1", f"-c{connections}", "-m1", f"--rps={rate / connections:.6g}"]
    command += ["-D", str(max(1, round(seconds))), "--warm-up-time=1", "-d", str(body.save(folder, "flood"))]
    command += [word for name, value in body.headers.items() for word in ("-H", f"{name}: {value}")]
    subprocess.run(
        pinned(str(CLIENT_CORE), [*command, f"--log-file={log}", f"http://127.0.0.1:{process.port}{body.path}"]),
        check=True,
        capture_output=True,
    )
    lines = np.loadtxt(log, dtype=np.int64, ndmin=2)
    if not lines.size:
        raise RuntimeError("h2load sent no request")
    started, status, microseconds = lines.T
    window = max(1e-9, float(started.max() - started.min()) / 1e6)
    accepted, refused = status == 200, (status == 429) | (status == 503)

    def percentile(which: "np.ndarray[tuple[int], np.dtype[np.bool_]]", percent: float) -> float | None:
        return float(np.percentile(microseconds[which], percent)) / 1000 if which.any() else None

    return Flooded(
        asked=rate,
        offered=len(lines) / window,
        accepted=float(accepted.sum()) / window,
        refused=float(refused.sum()) / window,
        failed=float((~accepted & ~refused).sum()) / window,
        accepted_p50=percentile(accepted, 50),
        accepted_p99=percentile(accepted, 99),
        refused_p50=percentile(refused, 50),
        refused_p99=percentile(refused, 99),
    )
