"""JSON as RFC 8259 has it, read with care: a key that stands twice is refused, and every fault is named."""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from septet.errors import Malformed
from septet.lengthy_work import PARSED_BYTES_ON_LOOP, leave_loop
from septet.model.received import duplicates, shown_key


def _refuse(name: str) -> NoReturn:
    raise Malformed(f"JSON has no {name}. Send null for a missing value, where the column is nullable.")


def strict(body: bytes, example: str, *, constant: Callable[[str], Any] = _refuse) -> Any:
    """Parse a body; `example` is shown where it is empty, `constant` reads NaN, Infinity and -Infinity.

    Raises:
        Malformed: it is not JSON, not UTF-8, has a key twice, or is nested too deeply.
        LengthyWork: it is long.
    """
    if len(body) > PARSED_BYTES_ON_LOOP:
        leave_loop()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}.") from None
    if not text.strip():
        raise Malformed(f"The body is empty. Send a JSON object such as {example}.")
    try:
        if len(body) > PARSED_BYTES_ON_LOOP:
            return json.loads(
                text, object_pairs_hook=_unique, parse_constant=constant, parse_float=_float, parse_int=_int
            )
        return json.loads(text, object_pairs_hook=_unique, parse_constant=constant)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise Malformed(f"The body is not JSON that can be read: {error}.") from None


# Between two calls of these, other threads may go on; between two numbers that the parser reads itself they may not.


def _float(text: str) -> float:
    return float(text)


def _int(text: str) -> int:
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        twice = next(duplicates(key for key, _ in pairs))
        raise Malformed(f"The key {shown_key(twice)!r} stands twice in one object. Send each key once.")
    return document
