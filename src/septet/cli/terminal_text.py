"""Texts on their way to a person: whatever a model, a server or a file says, it cannot steer the terminal."""

import sys
from typing import TextIO

from septet.control_characters import escaped_json, escaped_lines


def show_text(text: str, *, end: str = "\n") -> None:
    """Print lines to standard output, with control characters escaped."""
    print(escaped_lines(text), end=end, flush=True)


def show_json(text: str) -> None:
    """Print JSON to standard output, with control characters as JSON escapes them."""
    print(escaped_json(text), flush=True)


def complain(text: str) -> None:
    """Print lines to standard error, with control characters escaped."""
    print(escaped_lines(text), file=sys.stderr, flush=True)


class EscapedStream:
    """A stream for rows of data: JSON keeps its values; CSV is escaped on a terminal and exact everywhere else."""

    def __init__(self, stream: TextIO, *, json: bool) -> None:
        self._stream = stream
        self._escape = escaped_json if json else escaped_lines if stream.isatty() else str

    def write(self, text: str) -> int:
        """Write a text."""
        return self._stream.write(self._escape(text))

    def flush(self) -> None:
        """Write what is buffered."""
        self._stream.flush()
