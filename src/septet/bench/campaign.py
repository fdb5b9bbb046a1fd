"""Several loads one after another: as given, or until the highest rate within objectives is found."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from septet.bench.load import Load
from septet.bench.load_measurement import Measurement
from septet.bench.objective import Objective, violations
from septet.bench.search import RateVerdict, Trial, interval, next_step

Measure: TypeAlias = Callable[[Load], Measurement]

PROBE_SECONDS = 2.0


class Outcome(msgspec.Struct, frozen=True):
    """Every load and what it showed, in order.

    Attributes:
        measurements: one for each load.
        verdict: of a search, else None.
        limited: a search's end was decided by the generator: the server may be able to do more.
        shortcomings: what did not meet the objectives, by the load's name; of a search, none.
    """

    measurements: tuple[Measurement, ...]
    verdict: RateVerdict | None = None
    limited: bool = False
    shortcomings: tuple[str, ...] = ()


def run_all(loads: Sequence[Load], measure: Measure, wanted: Sequence[Objective]) -> Outcome:
    """Measure each load."""
    measurements = tuple(measure(load) for load in loads)
    shortcomings = tuple(f"{name(each.load)}: {text}" for each in measurements for text in violations(wanted, each))
    return Outcome(measurements, shortcomings=shortcomings)


def find_rate(load: Load, measure: Measure, wanted: Sequence[Objective]) -> Outcome:
    """Search for the highest rate at which a server meets the objectives.

    `load.rate` is where to start; without one, a short closed loop shows what the server can do, and the search starts
    at half of it.
    """
    measurements: list[Measurement] = []
    start = load.rate
    if start is None:
        probe = measure(msgspec.structs.replace(load, seconds=min(PROBE_SECONDS, load.seconds)))
        measurements.append(probe)
        start = max(1.0, probe.throughput / 2)
    trials: list[Trial] = []
    while not isinstance(step := next_step(trials, start), RateVerdict):
        measurement = measure(msgspec.structs.replace(load, rate=step))
        measurements.append(measurement)
        trials.append(Trial(step, met=not violations(wanted, measurement)))
    _, too_high = interval(trials)
    limited = any(
        each.client_limits for each in measurements if each.load.rate == too_high and violations(wanted, each)
    )
    return Outcome(tuple(measurements), step, limited)


def name(load: Load) -> str:
    """Name a load for people, such as `200/s`."""
    return f"{load.connections} connections" if load.rate is None else f"{load.rate:.6g}/s"
