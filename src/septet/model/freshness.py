"""How old the knowledge in a model is, and whether that is still good."""

import datetime as dt
from typing import Literal

import msgspec

from septet.model.manifest import Manifest


class Freshness(msgspec.Struct, frozen=True):
    """The verdict on a model's age; `age_days` is None where the manifest names no date."""

    state: Literal["fresh", "warn", "error", "unknown"]
    age_days: int | None
    message: str


def freshness(
    manifest: Manifest, now: dt.date | dt.datetime, *, warn_days: int = 31, error_days: int = 90
) -> Freshness:
    """Judge the age of the training data, or of the training where the data's window is not known.

    Dates count in UTC. `valid_for_days` of the manifest takes the place of both limits.
    """
    until, trained_at = manifest.training.data.until, manifest.training.trained_at
    if until is not None:
        what, day = "the training data ends on", until
    elif trained_at is not None:
        what, day = "the model was trained on", _day(trained_at)
    else:
        return Freshness("unknown", None, "the age is unknown: septet.toml names no training.data.until or trained_at")
    age = (_day(now) - day).days
    fact = f"{what} {day.isoformat()}"
    # One day ahead is a matter of time zones.
    if age < -1:
        return Freshness("warn", age, f"{fact}, which is in the future: check the manifest and this machine's clock")
    return _judged(max(age, 0), fact, manifest.valid_for_days, warn_days, error_days)


def _judged(age: int, fact: str, valid_for: int | None, warn_days: int, error_days: int) -> Freshness:
    aged = f"{fact}, {age} {'day' if age == 1 else 'days'} ago"
    if valid_for is not None:
        if age > valid_for:
            return Freshness("error", age, f"{aged}; it is valid for {valid_for} days: train it again")
        return Freshness("fresh", age, f"{aged}; it is valid for {valid_for} days")
    if age > error_days:
        return Freshness("error", age, f"{aged}; more than {error_days} days is too old: train it again")
    if age > warn_days:
        return Freshness("warn", age, f"{aged}; more than {warn_days} days is old: plan to train it again")
    return Freshness("fresh", age, aged)


def _day(moment: dt.date | dt.datetime) -> dt.date:
    if not isinstance(moment, dt.datetime):
        return moment
    return moment.astimezone(dt.UTC).date() if moment.tzinfo else moment.date()
