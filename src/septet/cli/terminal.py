"""What commands print: every text goes through here, and what would command a terminal is escaped."""

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

import msgspec

from septet.printable import printable, printable_json, printable_lines

_INDENT = "  "


def show(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Print lines, each of which stays one whatever it holds; on standard output where no other stream is given.

    Not flushed: whoever ends a command does so, and says where nothing can be written.
    """
    print("\n".join(map(printable, lines)), file=stream)


def show_json(document: bytes) -> None:
    """Print a JSON document indented, with the same meaning."""
    print(printable_json(msgspec.json.format(document, indent=2).decode()))


def complain(message: str, hint: str | None = None) -> None:
    """Print what is wrong on standard error."""
    show([*indented(f"error: {message}"), *(() if hint is None else (f"hint: {hint}",))], sys.stderr)


def indented(message: str) -> Iterator[str]:
    """The lines of a message, those after the first indented: none of them can be taken for a message of its own."""
    first, *others = message.split("\n")
    yield first
    for line in others:
        yield line if line.startswith(_INDENT) else _INDENT + line


class PrintedTable:
    """Standard output for a table: JSON keeps its meaning; CSV is escaped on a terminal, and as it is in a file."""

    def __init__(self, stream: TextIO, *, is_json: bool) -> None:
        self._stream = stream
        escape = printable_lines if stream.isatty() else str
        self._escape = printable_json if is_json else escape

    def write(self, text: str) -> int:
        """Write some text."""
        return self._stream.write(self._escape(text))
