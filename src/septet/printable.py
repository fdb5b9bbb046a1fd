"""Texts of others as a terminal, a log or a header may have them: whatever does not print is escaped.

A model, a request or the environment may hold control characters, which end a line, move the cursor or command a
terminal, and marks that turn the direction of writing, by which a text reads otherwise than it is (CVE-2021-42574).
"""

import re
from typing import Final

_UNUSUAL: Final = re.compile(r"[^\x20-\x7e]+")
_UNUSUAL_IN_JSON: Final = re.compile(r"[^\x20-\x7e\n]+")


def printable(text: str) -> str:
    r"""The text in one line, with each character that does not print as Python writes it: `\n`, `\x1b`, `\u202e`."""
    return text if text.isprintable() else _UNUSUAL.sub(_as_python, text)


def printable_lines(text: str) -> str:
    r"""The text with its line feeds, and each other character that does not print as Python writes it."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    r"""JSON with the same meaning, in which each character that does not print is `\uXXXX`; line feeds are kept.

    A line feed stands only between the parts of a document: inside of a text, JSON has it escaped already.
    """
    return _UNUSUAL_IN_JSON.sub(_as_json, text)


def _as_python(found: re.Match[str]) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in found[0])


def _as_json(found: re.Match[str]) -> str:
    return "".join(each if each.isprintable() else _units(each) for each in found[0])


def _units(sign: str) -> str:
    """A character as the one or two UTF-16 units that JSON writes it with."""
    data = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))
