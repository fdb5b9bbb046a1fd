"""What cannot be so in what a trainer says of a model, told before the model is looked at."""

import datetime as dt
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from septet.errors import PackageInvalid
from septet.packing.provenance import Statement, date_of
from septet.settings.fields import Field, fields

_TEXTS = ("dataset", "description", "owner")
_DAY = "a date, a text such as '2026-10-31', or None"


def check_statement(statement: Statement) -> None:
    """Refuse what cannot be so.

    Raises:
        PackageInvalid: the message names the argument and what was expected.
    """
    for name in _TEXTS:
        given: object = getattr(statement, name)
        if given is not None and not isinstance(given, str):
            raise PackageInvalid(f"{name}: is {given!r}, and a text is expected")
    if isinstance(statement.labels, str):
        raise PackageInvalid(f"labels: is the text {statement.labels!r}; give a list with one label for each class")
    days: object = statement.valid_for_days
    if days is not None and not (isinstance(days, int) and days > 0):
        raise PackageInvalid(f"valid_for_days: is {days!r}, and a whole number of at least 1 is expected")
    if not (_is_number(statement.measurement_seconds) and 0 <= statement.measurement_seconds < math.inf):
        raise PackageInvalid(f"measurement_seconds: is {statement.measurement_seconds!r}, and a number is expected")
    _check_window(statement.window)
    for name, value in _pairs(statement.metrics, "metrics"):
        if not _is_number(value):
            raise PackageInvalid(f"metrics: {name!r} is {value!r}, and a number is expected")
    for name, bounds in _pairs(statement.ranges, "ranges"):
        if not (_is_pair(bounds) and all(bound is None or _is_number(bound) for bound in bounds)):
            raise PackageInvalid(
                f"ranges: {name!r} is {bounds!r}, and (lowest, highest) is expected, either of them a number or None"
            )


def check_identity(name: str | None, version: str) -> None:
    """Refuse names and versions that no path or header can carry; `name` is None where none was given.

    Raises:
        PackageInvalid: they cannot.
    """
    patterns = {field.key: field for field in fields()}
    for given, field in ((name, patterns["model.name"]), (version, patterns["model.version"])):
        if given is not None:
            _check_text(given, field)


def _check_text(given: object, field: Field) -> None:
    if not isinstance(given, str) or not field.allows(given):
        raise PackageInvalid(f"{field.name}: is {given!r}, and {field.expected} are expected")


def _check_window(window: Any) -> None:
    if not _is_pair(window):
        raise PackageInvalid(f"window: is {window!r}, and (first day, last day) is expected, each of them {_DAY}")
    days = []
    for day in window:
        try:
            found = date_of(day)
        except ValueError:
            found = day
        if found is not None and not isinstance(found, dt.date):
            raise PackageInvalid(f"window: {day!r} is no day; give {_DAY}")
        days.append(found)
    since, until = days
    if since is not None and until is not None and since > until:
        raise PackageInvalid(f"window: the first day, {since}, is after the last, {until}")


def _pairs(given: Any, name: str) -> Any:
    if not isinstance(given, Mapping):
        raise PackageInvalid(f"{name}: is {given!r}, and a mapping by name is expected")
    return given.items()


def _is_pair(given: Any) -> bool:
    return isinstance(given, (tuple, list)) and len(given) == 2  # noqa: PLR2004 - a pair


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
