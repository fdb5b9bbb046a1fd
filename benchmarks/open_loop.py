"""An open loop: requests are due at a rate whatever the server does, evenly spaced, from `septet bench`."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.forms import FormBody
from benchmarks.process import CLIENT_CORE, Process, pinned

REFUSED = ("status 429", "status 503")
# Due while every connection waited for an answer, and so never sent.
UNSENT = "not sent"


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
    """What a server did with more load than it can serve; rates a second, times in milliseconds.

    Attributes:
        asked: how many were due.
        offered: requests sent; less than were due where every connection waited for an answer.
        accepted, refused, failed: answered rightly; with 429 or 503; in another way, or not at all.
        accepted_p99: from when a request was due, as are all of these times; None where nothing was answered so.
        refused_p50, refused_p99: from when it was sent.
        limited: as in `Paced`.
    """

    asked: float
    offered: float
    accepted: float
    refused: float
    failed: float
    accepted_p99: float | None
    refused_p50: float | None
    refused_p99: float | None
    limited: str


def paced(process: Process, body: FormBody, folder: Path, *, rate: float, seconds: float) -> Paced:
    """Send `rate` requests a second.

    Raises:
        RuntimeError: the load could not be made.
    """
    found = _measured(process, body, folder, rate, 64, seconds)
    times = found["response"]["percentiles"]
    return Paced(
        rate,
        found["throughput"],
        found["failed"],
        times["p50"] * 1000,
        times["p99"] * 1000,
        "; ".join(found["client_limits"]),
    )


def flooded(
    process: Process, body: FormBody, folder: Path, *, rate: float, connections: int, seconds: float
) -> Flooded:
    """Send `rate` requests a second over so many connections.

    Raises:
        RuntimeError: the load could not be made.
    """
    found = _measured(process, body, folder, rate, connections, seconds)
    errors, window = found["errors"], found["seconds"]
    refused = sum(errors.get(kind, 0) for kind in REFUSED)
    unsent = errors.get(UNSENT, 0)
    return Flooded(
        asked=rate,
        offered=(found["answered"] + found["failed"] - unsent) / window,
        accepted=found["throughput"],
        refused=refused / window,
        failed=(found["failed"] - refused - unsent) / window,
        accepted_p99=_milliseconds(found["response"], "p99"),
        refused_p50=_milliseconds(found["refused"], "p50"),
        refused_p99=_milliseconds(found["refused"], "p99"),
        limited="; ".join(found["client_limits"]),
    )


def _measured(process: Process, body: FormBody, folder: Path, rate: float, connections: int, seconds: float) -> Any:
    command = [sys.executable, "-m", "septet", "bench", f"http://127.0.0.1:{process.port}", "--path", body.path]
    command += ["--body", str(body.save(folder, "paced")), "--content-type", body.headers["content-type"]]
    command += ["--rate", f"{rate:.3f}", "--connections", str(connections), "--duration", f"{seconds:g}"]
    done = subprocess.run(
        pinned(str(CLIENT_CORE), [*command, "--warmup", "0.5", "--no-pin", "--json", "-"]),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"septet bench: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)["measurements"][0]


def _milliseconds(times: Mapping[str, Any], name: str) -> float | None:
    seconds = times["percentiles"][name]
    return None if seconds is None else seconds * 1000
