"""The settings read as a table: one record per field, from which every surface derives."""

import re
import types
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from septet.settings import Access, Batch, Jobs, Limits, Logs, Model, Server

Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
Kind: TypeAlias = Literal["bool", "int", "float", "str", "strings"]

PREFIX = "SEPTET_"
GROUPS: dict[str, type[msgspec.Struct]] = {
    "server": Server,
    "limits": Limits,
    "access": Access,
    "model": Model,
    "jobs": Jobs,
    "batch": Batch,
    "logs": Logs,
}
_KINDS: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}


class Field(msgspec.Struct, frozen=True):
    """One setting.

    `flag` stands without its dashes. `choices` is empty where the value is free.
    """

    group: str
    name: str
    flag: str
    kind: Kind
    default: Value
    optional: bool
    choices: tuple[str, ...]
    limits: msgspec.Meta
    description: str
    unit: str
    secret: bool
    file: bool
    pattern: str | None
    metavar: str | None

    @property
    def key(self) -> str:
        """Its place in the configuration file, such as `server.port`."""
        return f"{self.group}.{self.name}"

    @property
    def env(self) -> str:
        """Its environment variable, such as `SEPTET_PORT`."""
        return PREFIX + self.flag.upper().replace("-", "_")

    @property
    def argument(self) -> str:
        """Its key among parsed flags, such as `log_level`."""
        return self.flag.replace("-", "_")

    @property
    def expected(self) -> str:
        """What a value must be, for help and error texts."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        noun = _NOUNS[self.kind]
        if self.pattern:
            noun = _PATTERNS.get(self.name, f"{noun} matching {self.pattern}")
        if self.file:
            noun = "the path of a file that exists"
        return noun + self._bounds()

    def allows(self, text: str) -> bool:
        """Whether a text, or each of several, matches the pattern."""
        return self.pattern is None or re.fullmatch(self.pattern, text) is not None

    def _bounds(self) -> str:
        low, above, high = self.limits.ge, self.limits.gt, self.limits.le
        if low is not None and high is not None:
            return f" from {low:g} to {high:g}" if self.kind == "float" else f" from {low} to {high}"
        if above is not None:
            return f" above {above:g}" + (f", at most {high:g}" if high is not None else "")
        return f" of at least {low}" if low is not None else ""


_NOUNS: dict[Kind, str] = {
    "bool": "true or false (also 1/0, yes/no, on/off)",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "strings": "a list of texts",
}
_PATTERNS = {
    "trust": "sha256: and at least 12 hexadecimal digits (several: separated by commas, a list in the file)",
    "middleware": "module:function (several: separated by commas, a list in the file)",
    "api_keys": "a name, =, and a key of 16 or more letters, digits and ._~+/- or sha256: and 64 hexadecimal digits "
    "(several: separated by commas, a list in the file)",
    "cors_origins": "an origin in lower case such as https://app.example.com, without a path, or * (several: separated "
    "by commas, a list in the file)",
    "allowed_hosts": "a host such as api.example.com, *.example.com or 10.0.0.1:8000 (several: separated by commas, a "
    "list in the file)",
    "unix_socket_mode": "three octal digits such as 660, as chmod has them",
    "root_path": "a path such as /models/iris, without a slash at its end",
    "name": "letters, digits, dot, dash and underscore (128 at most), beginning with a letter or digit",
    "version": "letters, digits, dot, plus, dash and underscore (128 at most), beginning with a letter or digit",
}


def fields() -> tuple[Field, ...]:
    """Every setting, in the order in which it is declared."""
    return tuple(_read(group, info) for group, struct in GROUPS.items() for info in msgspec.structs.fields(struct))


def _read(group: str, info: msgspec.structs.FieldInfo) -> Field:
    declared, meta = get_args(info.type)
    extra = meta.extra or {}
    base, optional = _unwrapped(declared)
    choices = get_args(base) if get_origin(base) is Literal else ()
    kind: Kind = "strings" if get_origin(base) is tuple else "str" if choices else _KINDS[base]
    return Field(
        group=group,
        name=info.name,
        flag=extra.get("flag", info.name.replace("_", "-")),
        kind=kind,
        default=info.default,
        optional=optional,
        choices=choices,
        limits=meta,
        description=meta.description,
        unit=extra.get("unit", ""),
        secret=extra.get("secret", False),
        file=extra.get("file", False),
        pattern=extra.get("pattern", meta.pattern),
        metavar=extra.get("metavar"),
    )


def _unwrapped(declared: Any) -> tuple[Any, bool]:
    if get_origin(declared) not in {types.UnionType, Union}:
        return declared, False
    (base,) = (option for option in get_args(declared) if option is not types.NoneType)
    return base, True
