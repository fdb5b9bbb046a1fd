"""Service level objectives: what is demanded of a measurement, such as `p99<20ms`."""

import re
from collections.abc import Sequence

import msgspec

from septet.bench.load_measurement import PERCENTILES, Measurement
from septet.bench.recording import WRONG_ANSWER
from septet.errors import Invalid

_TEXT = re.compile(r"(?P<what>[a-z0-9.]+)\s*<\s*(?P<limit>\d+(\.\d+)?)\s*(?P<unit>us|ms|s|%)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Objective(msgspec.Struct, frozen=True):
    """A limit. `what` is `errors` (limit: a share of the requests), `mean` or one of `PERCENTILES` (seconds)."""

    what: str
    limit: float
    text: str


ERRORS_UNLESS_SAID = Objective("errors", 0.001, "errors<0.1%")


def objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Read objectives, several in a text apart by commas; where none is about errors, one is added.

    Raises:
        Invalid: a text is none.
    """
    found = tuple(_objective(part.strip()) for text in texts for part in text.split(","))
    if not found or any(each.what == "errors" for each in found):
        return found
    return (*found, ERRORS_UNLESS_SAID)


def violations(wanted: Sequence[Objective], measurement: Measurement) -> tuple[str, ...]:
    """Say which objectives a measurement does not meet, and what it showed.

    Wrong answers, and none at all, are never well. In an open loop all that the load generator is late counts in the
    response times, so an objective that is met is met, whatever the client. In a closed loop a busy generator asks too
    little, so nothing is proven.
    """
    wrong = measurement.errors.get(WRONG_ANSWER, 0)
    found = [f"{wrong} wrong answers"] if wrong else []
    if not measurement.answered:
        found.append("nothing was answered")
    limited = bool(measurement.client_limits)
    if wanted and limited and measurement.load.rate is None:
        found.append("client-limited, so it proves nothing")
    note = " (client-limited)" if limited else ""
    for each in wanted:
        got = _got(each.what, measurement)
        if got is not None and got >= each.limit:
            shown = f"{got:.3%}" if each.what == "errors" else f"{got * 1000:.3f} ms"
            found.append(f"{each.text}: {shown}{note}")
    return tuple(found)


def _objective(text: str) -> Objective:
    match = _TEXT.fullmatch(text)
    if match is None or (match["what"] not in PERCENTILES and match["what"] not in ("errors", "mean")):
        raise Invalid(
            f"{text!r} is no objective; give one such as 'p99<20ms' or 'errors<0.1%' "
            f"(of {', '.join(PERCENTILES)}, mean and errors)"
        )
    if (match["unit"] == "%") != (match["what"] == "errors"):
        raise Invalid(f"{text!r}: errors are limited in %, times in us, ms or s")
    scale = _SECONDS.get(match["unit"], 0.01)
    return Objective(match["what"], float(match["limit"]) * scale, text)


def _got(what: str, measurement: Measurement) -> float | None:
    if what == "errors":
        return measurement.error_share
    return measurement.response.mean if what == "mean" else measurement.response.percentiles[what]
