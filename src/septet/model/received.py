"""What a caller sent, as an error repeats it."""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

RECEIVED_LENGTH: Final = 80
#: Names that an error lists of many.
SHOWN_NAMES: Final = 10


def received(value: object) -> str:
    """A JSON value as a caller would recognise it, at most 80 characters."""
    if isinstance(value, str | bytes):
        value = value[:RECEIVED_LENGTH]  # no more is shown
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError, TypeError):
        text = ascii(value)
    return text if len(text) <= RECEIVED_LENGTH else text[: RECEIVED_LENGTH - 1] + "…"


def shown_key(key: str) -> str:
    """A caller's key as an error may repeat it: short, and without unpaired surrogates."""
    return key[:RECEIVED_LENGTH].encode("utf-8", "backslashreplace").decode()


def shown_names(names: Iterable[object], *, quoted: bool = True) -> str:
    """Names of the model's own, or other values, as an error lists them: the first ten, and whether there are more."""
    first = list(islice(names, SHOWN_NAMES + 1))
    shown = ", ".join(map(repr if quoted else str, first[:SHOWN_NAMES]))
    return f"{shown}, …" if len(first) > SHOWN_NAMES else shown


def duplicates(names: Iterable[str]) -> Iterator[str]:
    """The names that stood before, each as often as it comes again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape with -1 for a free dimension, as the Open Inference Protocol writes it."""
    return "[" + ", ".join("-1" if size is None else str(size) for size in shape) + "]"
