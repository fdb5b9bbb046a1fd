"""Settings as text: the effective ones as a configuration file, all there are as a page of documentation."""

from itertools import groupby
from typing import Any

import tomli_w

from septet.settings.fields import Field, Value, fields
from septet.settings.resolution import Resolved

MASK = "********"

_INTRODUCTION = """\
# Settings

Every setting can be given in three ways. Where it is given more than once, the first of these wins:

1. a flag: `septet serve iris.onnx --port 9000`
2. an environment variable: `SEPTET_PORT=9000`
3. a configuration file, named by `--config` or `SEPTET_CONFIG`, with the tables `[server]`, `[limits]`, `[access]`,
   `[model]`, `[jobs]` and `[logs]`:

   ```toml
   [server]
   port = 9000
   ```

4. the default.

An unknown key, an unknown variable that begins with `SEPTET_`, and a value that cannot be read stop the start with a
message that names it. True and false are written `true`/`false`, `1`/`0`, `yes`/`no` or `on`/`off`, in a
configuration file only `true`/`false`. An empty variable leaves an optional setting unset. On the command line a
setting that is true or false is a flag without a value, and `--no-...` is its opposite.

`septet serve PATH --print-config` prints the effective settings with the source of each, secrets left out, as a
configuration file, and does not serve.

This page is generated from the source: `python -m septet.settings.rendering > docs/settings.md`.
"""
_TITLES = {
    "server": "where and how processes listen, and how they end",
    "limits": "what a caller may ask for",
    "access": "who may ask, see [access](access.md)",
    "model": "what is said of the model, and how it runs",
    "jobs": "requests that are answered later, see [jobs](jobs.md)",
    "batch": "runs over whole tables, see [batch](batch.md)",
    "logs": "what is written to standard error",
}


def as_toml(resolved: Resolved) -> str:
    """Write the effective settings as a configuration file that gives them again, sources as comments.

    What is not set stands in a comment; so does a secret, masked.
    """
    lines: list[str] = []
    for group, members in groupby(fields(), key=lambda field: field.group):
        part = getattr(resolved.settings, group)
        lines += [f"[{group}]", *(_line(field, getattr(part, field.name), resolved) for field in members), ""]
    return "\n".join(lines)


def _line(field: Field, value: Value, resolved: Resolved) -> str:
    source = resolved.sources[field.key]
    if value is None or (field.secret and not value):
        return f"# {field.name} is not set  # {source}"
    if field.secret:
        return f"# {field.name} = {MASK}  # {source}"
    return f"{field.name} = {_literal(value)}  # {source}"


def _literal(value: Value) -> str:
    """Write one TOML value on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    document: dict[str, Any] = {"value": value}
    return tomli_w.dumps(document).removeprefix("value = ").rstrip("\n")


def as_markdown() -> str:
    """Write the page that documents every setting."""
    sections = [_INTRODUCTION]
    for group, members in groupby(fields(), key=lambda field: field.group):
        rows = "\n".join(_row(field) for field in members)
        sections.append(
            f"\n## `[{group}]`: {_TITLES[group]}\n\n"
            f"| key | flag | environment | default | what | values |\n|---|---|---|---|---|---|\n{rows}\n"
        )
    return "".join(sections)


def _row(field: Field) -> str:
    unit = f", in {field.unit}" if field.unit else ""
    secret = "; secret" if field.secret else ""
    default = "" if field.default in {None, ()} else f"`{_literal(field.default)}`"
    cells = (
        f"`{field.name}`",
        f"`--{field.flag}`",
        f"`{field.env}`",
        default,
        field.description + secret,
        field.expected + unit,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(as_markdown())
