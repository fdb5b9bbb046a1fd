"""Settings as flags: every command offers those that concern it, and reads them in one way."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from septet.settings import Settings
from septet.settings.fields import Field, fields
from septet.settings.resolution import Resolved, explain

_METAVARS = {"int": "N", "float": "N", "str": "TEXT", "strings": "TEXT"}
_UNIT_METAVARS = {"seconds": "SECONDS", "bytes": "BYTES", "days": "DAYS"}


def add_path(parser: ArgumentParser) -> None:
    """Add the model to work on."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a model file (.onnx, .skops, ...) or a package folder")


def add_paths(parser: ArgumentParser) -> None:
    """Add one model to work on, or several."""
    text = "a model file (.onnx, .skops, ...) or a package folder; several are served side by side"
    parser.add_argument("paths", type=Path, metavar="PATH", nargs="+", help=text)


def add_settings(parser: ArgumentParser, wanted: Sequence[str]) -> None:
    """Add a flag for each wanted setting, given by group (`model`) or key (`logs.level`), and `--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file in TOML; a flag wins over the environment, that over the file (env SEPTET_CONFIG)",
    )
    groups: dict[str, Any] = {}
    for field in fields():
        if field.group in wanted or field.key in wanted:
            if field.group not in groups:
                groups[field.group] = parser.add_argument_group(field.group)
            _add(groups[field.group], field)


def resolved_settings(args: Namespace) -> Resolved:
    """Read the effective settings of a parsed command line, this process's environment and the file it names.

    Raises:
        SettingsInvalid: a setting is unknown or cannot be read.
    """
    given = vars(args)
    flags = {field.argument: given[field.argument] for field in fields() if field.argument in given}
    return explain(flags, os.environ, args.config)


def settings(args: Namespace) -> Settings:
    """Read the effective settings; see `resolved_settings`."""
    return resolved_settings(args).settings


def _add(group: Any, field: Field) -> None:
    add: Callable[..., Any] = group.add_argument
    name, dest, text = f"--{field.flag}", field.argument, _help(field)
    if field.kind == "bool":
        add(name, dest=dest, action="store_const", const="true", help=text)
        add(f"--no-{field.flag}", dest=dest, action="store_const", const="false", help=f"the opposite of {name}")
    elif field.kind == "strings":
        add(name, dest=dest, action="append", metavar=field.metavar, help=text)
    else:
        add(name, dest=dest, metavar=_metavar(field), help=text)


def _metavar(field: Field) -> str:
    if field.choices:
        return "{" + ",".join(field.choices) + "}"
    if field.file:
        return "FILE"
    return _UNIT_METAVARS.get(field.unit, _METAVARS[field.kind])


def _help(field: Field) -> str:
    notes = [f"env {field.env}"]
    if field.default not in (None, (), "", False):
        default = f"{field.default:g}" if isinstance(field.default, float) else field.default
        notes.insert(0, f"default {default}")
    return f"{field.description} ({', '.join(notes)})".replace("%", "%%")
