"""What a load showed, summed up, and whether the figures say something of the server."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from septet.bench.load import Load
from septet.bench.recording import Recording
from septet.types import Array

PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
DEFINITION: Final = (
    "nearest rank over every single time: the smallest that at least this share of all does not exceed; "
    "requests given up count with the time waited until then, answers with errors do not"
)
BUSY_SHARE: Final = 0.9
LAG_SECONDS: Final = 0.003
_BUCKETS_PER_DECADE: Final = 20


class Latency(msgspec.Struct, frozen=True):
    """Times in seconds: `mean`, and by name those of `PERCENTILES`. All are None where nothing was timed."""

    count: int
    mean: float | None
    percentiles: Mapping[str, float | None]


class Measurement(msgspec.Struct, frozen=True):
    """One load and what it showed; times in seconds.

    Attributes:
        load: what was put on the server.
        seconds: from the first recorded moment to the last answer.
        answered, failed: requests with a right answer, and those without.
        throughput: right answers per second.
        response: from when a request was due.
        service: from when it was sent; the same as `response` in a closed loop.
        refused: from when a request was sent to its refusal, status 429 or 503.
        lag: how late the generator was, in an open loop.
        cpu_share: how busy the generator was, of a core.
        errors, examples: as in `Recording`.
        histogram: upper bounds and counts of the response times, without empty ones.
        client_limits: why the figures show the generator rather than the server; empty where they do not.
    """

    load: Load
    seconds: float
    answered: int
    failed: int
    throughput: float
    response: Latency
    service: Latency
    refused: Latency
    lag: Latency
    cpu_share: float
    errors: Mapping[str, int]
    examples: Mapping[str, str]
    histogram: Sequence[tuple[float, int]]
    client_limits: tuple[str, ...]

    @property
    def error_share(self) -> float:
        """The part of all requests that failed; 1 where there was none at all."""
        total = self.answered + self.failed
        return self.failed / total if total else 1.0


def measured(load: Load, recording: Recording) -> Measurement:
    """Sum a recording up."""
    lag = latency(recording.lag)
    return Measurement(
        load=load,
        seconds=recording.elapsed,
        answered=recording.answered,
        failed=sum(recording.errors.values()),
        throughput=recording.answered / recording.elapsed,
        response=latency(recording.response),
        service=latency(recording.service),
        refused=latency(recording.refused),
        lag=lag,
        cpu_share=recording.cpu_share,
        errors=recording.errors,
        examples=recording.examples,
        histogram=histogram(recording.response),
        client_limits=_client_limits(recording, lag),
    )


def latency(times: Array) -> Latency:
    """Sum times in seconds up."""
    count = len(times)
    if not count:
        return Latency(0, None, dict.fromkeys(PERCENTILES))
    ordered = np.sort(times)
    ranks = {name: max(0, math.ceil(share * count) - 1) for name, share in PERCENTILES.items()}
    return Latency(count, float(np.mean(ordered)), {name: float(ordered[rank]) for name, rank in ranks.items()})


def histogram(times: Array) -> list[tuple[float, int]]:
    """Count times in buckets whose bounds grow by the same factor, 20 to a tenfold."""
    if not len(times):
        return []
    steps = np.ceil(np.log10(np.maximum(times, 1e-9)) * _BUCKETS_PER_DECADE).astype(int)
    bounds, counts = np.unique(steps, return_counts=True)
    return [
        (float(10 ** (bound / _BUCKETS_PER_DECADE)), int(count)) for bound, count in zip(bounds, counts, strict=True)
    ]


def _client_limits(recording: Recording, lag: Latency) -> tuple[str, ...]:
    found = []
    if recording.cpu_share > BUSY_SHARE:
        found.append(f"the load generator was busy for {recording.cpu_share:.0%} of a core; try --processes")
    late = lag.percentiles["p99"]
    if late is not None and late > LAG_SECONDS:
        found.append(f"the load generator sent 1 % of the requests more than {late * 1000:.1f} ms late")
    return tuple(found)
