"""Characters that steer a terminal, a log or a header instead of being shown, and how they are written instead."""

import re
from typing import Final

# C0 and C1 controls (ECMA-48), marks and embeddings of the bidirectional algorithm (Unicode UAX 9), separators of lines
# and paragraphs, characters without width, tags, and halves of surrogate pairs.
_CONTROLS: Final = (
    "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_ANY: Final = re.compile(f"[{_CONTROLS}]")
_NOT_LAID_OUT: Final = re.compile(f"(?!\r?\n|\t)[{_CONTROLS}]")
_JSON: Final = re.compile(f"(?![\r\n\t])[{_CONTROLS}]")
_DELETE: Final = 0x7F
_BASIC_PLANE: Final = 0xFFFF


def has_controls(text: str) -> bool:
    """Whether a text holds a character that steers what shows it, line breaks and tabs among them."""
    return not (text.isascii() and text.isprintable()) and _ANY.search(text) is not None


def escaped(text: str) -> str:
    """A text on one line, with each such character as Python writes it in a string."""
    return _ANY.sub(_written, text) if has_controls(text) else text


def escaped_lines(text: str) -> str:
    """The same for a text of several lines: line breaks and tabs stay."""
    return _NOT_LAID_OUT.sub(_written, text) if not text.isascii() or not text.isprintable() else text


def escaped_json(text: str) -> str:
    """Encoded JSON with such characters in its strings as JSON escapes them; all values stay the same."""
    return text if text.isascii() else _JSON.sub(_written_in_json, text)


def _written(found: re.Match[str]) -> str:
    if found[0] in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[found[0]]
    number = ord(found[0])
    if number < _DELETE:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _BASIC_PLANE else f"\\U{number:08x}"


def _written_in_json(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number <= _BASIC_PLANE:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 | number >> 10:04x}\\u{0xDC00 | number & 0x3FF:04x}"
