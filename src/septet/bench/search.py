"""The search for the highest rate within objectives: which rate to try next, from what was tried."""

import math
from collections.abc import Sequence

import msgspec

PRECISION = 1.05  # the found rate and the lowest broken one differ by at most this factor
MOST_TRIALS = 48
LOWEST_RATE = 1.0


class Trial(msgspec.Struct, frozen=True):
    """A rate, and whether it met the objectives."""

    rate: float
    met: bool


class RateVerdict(msgspec.Struct, frozen=True):
    """The end of a search: `rate` met the objectives, twice where `confirmed`; None where no rate did."""

    rate: float | None
    confirmed: bool


def next_step(trials: Sequence[Trial], start: float) -> float | RateVerdict:
    """Return the rate to try next, or the verdict.

    The rate doubles until it is too high (halves until it is not), the interval is then halved until its ends are
    close. One trial proves little: a rate that breaks the objectives is tried again, and is too high if it breaks them
    more often than not; the lower end, too, has to meet them twice.
    """
    if trials and _lead(trials, trials[-1].rate) in (0, -1):
        return trials[-1].rate if len(trials) < MOST_TRIALS else RateVerdict(interval(trials)[0], confirmed=False)
    low, high = interval(trials)
    if len(trials) >= MOST_TRIALS:
        return RateVerdict(low, confirmed=False)
    if high is None:
        return start if low is None else low * 2
    if low is None:
        return max(LOWEST_RATE, high / 2) if high > LOWEST_RATE else RateVerdict(None, confirmed=False)
    if high / low > PRECISION:
        return math.sqrt(low * high)
    return RateVerdict(low, confirmed=True) if _lead(trials, low) > 1 else low


def interval(trials: Sequence[Trial]) -> tuple[float | None, float | None]:
    """Return the highest rate that met the objectives below the lowest that is too high, and that one."""
    rates = {trial.rate: _lead(trials, trial.rate) for trial in trials}
    high = min((rate for rate, lead in rates.items() if lead < -1), default=None)
    low = max((rate for rate, lead in rates.items() if lead > 0 and (high is None or rate < high)), default=None)
    return low, high


def _lead(trials: Sequence[Trial], rate: float) -> int:
    """How many more trials of a rate met the objectives than broke them."""
    return sum(1 if trial.met else -1 for trial in trials if trial.rate == rate)
