"""One value: text or TOML in, the field's own type out."""

import math
import re
from pathlib import Path
from typing import Any

from septet.errors import SettingsInvalid
from septet.settings.fields import Field, Value

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_NUMBERS_AT_MOST = 40  # characters: no setting needs more, and Python refuses to convert thousands of digits
_SHOWN = 80  # characters of a bad value that a message repeats


def parse(field: Field, raw: object, source: str, *, typed: bool = False) -> Value:
    """Read one value; text is converted unless it comes from a `typed` source, anything else must have the right type.

    Raises:
        SettingsInvalid: naming the key, the source, the value (masked where secret) and what is expected.
    """
    if field.optional and (raw is None or raw == ""):
        return None
    is_text = isinstance(raw, str) and (not typed or field.kind == "str")
    value = _from_text(field, str(raw)) if is_text else _from_value(field, raw)
    if value is None or not _allowed(field, value):
        raise SettingsInvalid(_refusal(field, raw, source))
    return value


def _from_text(field: Field, text: str) -> Value:
    bare = text.strip()
    if field.kind == "bool":
        return True if bare.lower() in TRUE else False if bare.lower() in FALSE else None
    if field.kind == "int":
        return int(bare) if _WHOLE.fullmatch(bare) and len(bare) <= _NUMBERS_AT_MOST else None
    if field.kind == "float":
        return float(bare) if _NUMBER.fullmatch(bare) and len(bare) <= _NUMBERS_AT_MOST else None
    if field.kind == "strings":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _from_value(field: Field, raw: Any) -> Value:
    if field.kind == "bool":
        return raw if isinstance(raw, bool) else None
    if field.kind == "strings":
        is_list = isinstance(raw, list | tuple) and all(isinstance(item, str) for item in raw)
        return tuple(raw) if is_list else None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    if field.kind == "int":
        return raw if isinstance(raw, int) else None
    return float(raw) if field.kind == "float" else None


def _allowed(field: Field, value: Value) -> bool:
    if isinstance(value, tuple):
        return all(field.allows(item) for item in value)
    if isinstance(value, str):
        return _allowed_text(field, value)
    return isinstance(value, bool) or (isinstance(value, int | float) and _within(field, value))


def _allowed_text(field: Field, value: str) -> bool:
    if field.choices:
        return value in field.choices
    if field.file and not Path(value).is_file():
        return False
    return len(value) >= (field.limits.min_length or 0) and field.allows(value)


def _within(field: Field, number: float) -> bool:
    meta = field.limits
    return (
        math.isfinite(number)
        and (meta.ge is None or number >= meta.ge)
        and (meta.gt is None or number > meta.gt)
        and (meta.le is None or number <= meta.le)
    )


def _refusal(field: Field, raw: object, source: str) -> str:
    shown = "***" if field.secret else repr(raw)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    message = f"{field.key} ({source}) is {shown}; expected {field.expected}"
    if isinstance(raw, str) and source.startswith(field.env) and raw.startswith("tcp://"):
        message += KUBERNETES
    return message + "."


KUBERNETES = (
    " (Kubernetes sets such variables for a Service named septet:"
    " put `enableServiceLinks: false` into the pod's spec, or rename the Service)"
)
