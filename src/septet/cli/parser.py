"""The parser of the command line: plain help, no abbreviations, and a likely name for an unknown flag."""

import os
import re
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any, NoReturn

from septet.cli.terminal import complain

STDOUT = 1
_UNKNOWN = "unrecognized arguments: "


_USUAL_COLUMNS = 80


class HelpFormatter(RawDescriptionHelpFormatter):
    """Help as wide as the terminal. What the standard library asks for the width takes 5 ms to import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(STDOUT).columns or _USUAL_COLUMNS
    except OSError:
        return _USUAL_COLUMNS


class Parser(ArgumentParser):
    """An `ArgumentParser` with the settings that every command shares."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=HelpFormatter, allow_abbrev=False, **options)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Refuse unknown flags here, where the command's own flags are known.

        Of a command that takes several paths, some may stand behind flags, which argparse does not read.
        """
        found, rest = super().parse_known_args(args, namespace)
        paths = getattr(found, "paths", None)
        if paths and not any(word.startswith("-") for word in rest):
            paths += map(Path, rest)
            rest = []
        if rest:
            self.error(_UNKNOWN + " ".join(rest))
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Print one message and where to read more, and exit with 2."""
        if message.startswith(_UNKNOWN):
            message = self._with_likely_name(message.removeprefix(_UNKNOWN))
        complain(message, f"{self.prog} --help shows what can be given")
        self.exit(2)

    def _with_likely_name(self, rest: str) -> str:
        import difflib

        word = re.split("[ =]", rest, maxsplit=1)[0]
        known = [flag for action in self._actions for flag in action.option_strings]
        close = difflib.get_close_matches(word, known, n=1) if word.startswith("-") else []
        return f"unknown argument {word}" + (f" (did you mean {close[0]}?)" if close else "")
