"""When the requests of an open loop are due, decided before the first is sent."""

from collections.abc import Sequence

import numpy as np

from septet.bench.load import Load, requests_due


def due_times(load: Load, phase: float = 0.0) -> Sequence[float]:
    """Return the seconds from the start at which requests are due, in order, all within warm-up and duration.

    `phase`, from 0 to 1, shifts evenly spaced requests by that part of their distance, so that processes take turns.
    """
    if load.rate is None:
        return ()
    if load.arrivals == "constant":
        return ((np.arange(requests_due(load)) + phase) / load.rate).tolist()  # type: ignore[no-any-return]
    random, end = np.random.default_rng(load.seed), load.warmup + load.seconds
    times = np.empty(0)
    start = 0.0
    while start < end:
        gaps = random.exponential(1 / load.rate, max(16, requests_due(load)))
        times = np.concatenate([times, start + np.cumsum(gaps)])
        start = float(times[-1])
    return times[times < end].tolist()  # type: ignore[no-any-return]
