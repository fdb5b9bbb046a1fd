"""Where an answer is to be brought to, read from its text.

| text | sink |
|---|---|
| `https://host/path?query` | a webhook |
| `file:///folder` | a file for each job, in that folder |
| `file:///folder/answers.jsonl` | a line for each job, in that file |
| `redis://user:password@host:6379/0?stream=answers` | a stream of Redis; `rediss:` with TLS, `unix:` by a socket |
| `sqlite:///relative.db?table=answers`, `sqlite:////absolute.db?table=answers` | a table of SQLite |
"""

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePosixPath
from typing import Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

LONGEST_ADDRESS: Final = 2048
LINES_SUFFIX: Final = ".jsonl"
HIDDEN: Final = "***"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# RFC 3986 has no other characters in a URL; a backslash and a tab are read otherwise by some.
_OTHER_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What a resolver reads as a number, in any of its spellings: 2130706433, 0x7f.1, 0177.0.0.1.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r":[0-9]*$")
_LONGEST_NAME: Final = 253
_STREAM: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_TABLE: Final = re.compile(r"(?!sqlite_)[A-Za-z_][A-Za-z0-9_]{0,62}", re.IGNORECASE)
_LATER: Final = ("postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "s3", "gs", "kafka", "amqp")


class WebhookAddress(msgspec.Struct, frozen=True):
    """A hook: `target` is the path with its query, `host` in lower case and without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def netloc(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """For logs and lists: both path and query of a hook may be its secret."""
        return f"{self.scheme}://{self.netloc}/{HIDDEN}"


class FolderAddress(msgspec.Struct, frozen=True):
    """A folder for one file for each job."""

    path: str

    @property
    def shown(self) -> str:
        """For logs and lists."""
        return f"file://{self.path}"


class LinesAddress(msgspec.Struct, frozen=True):
    """A file of JSON Lines."""

    path: str

    @property
    def shown(self) -> str:
        """For logs and lists."""
        return f"file://{self.path}"


class StreamAddress(msgspec.Struct, frozen=True):
    """A stream of Redis: `server` is a URL that may hold a password; `most` is about how many entries it keeps."""

    server: str
    stream: str
    most: int | None
    place: str

    @property
    def shown(self) -> str:
        """For logs and lists."""
        return f"{self.place}?stream={self.stream}"


class TableAddress(msgspec.Struct, frozen=True):
    """A table of a file of SQLite."""

    path: str
    table: str

    @property
    def shown(self) -> str:
        """For logs and lists."""
        return f"sqlite:///{self.path}?table={self.table}"


SinkAddress: TypeAlias = WebhookAddress | FolderAddress | LinesAddress | StreamAddress | TableAddress


def parse_sink(text: str) -> SinkAddress:
    """Read the address of a sink.

    Raises:
        ValueError: it is none. The text of the error quotes nothing that may be secret.
    """
    if len(text) > LONGEST_ADDRESS or _OTHER_CHARACTERS.search(text):
        raise _wrong(f"has at most {LONGEST_ADDRESS} characters, all of them ones that a URL may have (RFC 3986)")
    scheme = text.partition(":")[0].lower()
    if scheme in _LATER:
        raise _wrong(f"cannot be {scheme}: yet")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _wrong("must be a URL") from None
    if parts.fragment or "#" in text:
        raise _wrong("has no fragment")
    if scheme in _DEFAULT_PORTS:
        return _webhook(parts, port)
    if scheme == "file":
        return _file(parts)
    if scheme in ("redis", "rediss", "unix"):
        return _stream(parts)
    if scheme == "sqlite":
        return _table(parts)
    raise _wrong("begins with https:, file:, redis:, rediss:, unix: or sqlite:")


def shown_sink(kept: str) -> str:
    """What a job keeps as its sink, for logs and lists: of a hook neither path nor query, which may be secret."""
    if "://" not in kept:
        return kept
    try:
        return parse_sink(kept).shown
    except ValueError:
        return HIDDEN


def _webhook(parts: SplitResult, port: int | None) -> WebhookAddress:
    if "@" in parts.netloc:
        raise _wrong("holds no user and no password where it is a hook")
    scheme = parts.scheme.lower()
    host = _PORT.sub("", parts.netloc.lower())
    if port == 0:
        raise _wrong("has a port from 1 to 65535")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookAddress(scheme, checked_host(host), port or _DEFAULT_PORTS[scheme], target)


def checked_host(host: str) -> str:
    """A host's name in lower case, or an IP address in its usual spelling and without brackets.

    Raises:
        ValueError: it is none, or an address that is spelled in another way.
    """
    try:
        # A zone, after %, is of this machine alone.
        if host.startswith("[") and host.endswith("]") and "%" not in host:
            return str(IPv6Address(host.removeprefix("[").removesuffix("]")))
        labels = host.removesuffix(".").split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return str(IPv4Address(host))
    except ValueError:
        raise _wrong("names a host, or an IP address in its usual spelling") from None
    if len(host) > _LONGEST_NAME or not all(_NAME.fullmatch(label) for label in labels):
        raise _wrong("names a host, in ASCII (xn-- for others), or an IP address in its usual spelling")
    return host.removesuffix(".")


def _file(parts: SplitResult) -> FolderAddress | LinesAddress:
    form = "is like file:///folder or file:///folder/answers.jsonl where it is a file"
    path = _path(parts.path, form)
    if parts.netloc or parts.query or not path.startswith("/"):
        raise _wrong(form)
    plain = str(PurePosixPath(path))
    return LinesAddress(plain) if plain.endswith(LINES_SUFFIX) else FolderAddress(plain)


def _stream(parts: SplitResult) -> StreamAddress:
    form = "is like redis://host:6379/0?stream=answers, or unix:///path?db=0&stream=answers, where it is of Redis"
    unix = parts.scheme.lower() == "unix"
    asked = _query(parts, {"stream", "maxlen", "db"} if unix else {"stream", "maxlen"}, form)
    database = asked.get("db", "0") if unix else parts.path.removeprefix("/") or "0"
    stream, most = asked.get("stream", ""), asked.get("maxlen", "1")
    whole = all(re.fullmatch("[0-9]{1,12}", each) for each in (database, most)) and int(most) > 0
    if not _STREAM.fullmatch(stream) or not whole or not (parts.path if unix else parts.hostname):
        raise _wrong(form)
    user, _, place = parts.netloc.rpartition("@")
    login = f"{user}@" if user else ""
    where = f"{place}{parts.path}" if unix else f"{place}/{database}"
    server = f"{parts.scheme}://{login}{where}" + (f"?db={database}" if unix else "")
    return StreamAddress(server, stream, int(most) if "maxlen" in asked else None, f"{parts.scheme}://{where}")


def _table(parts: SplitResult) -> TableAddress:
    form = "is like sqlite:///relative.db?table=answers or sqlite:////absolute.db?table=answers where it is of SQLite"
    asked = _query(parts, {"table"}, form)
    path = _path(parts.path.removeprefix("/"), form)
    if parts.netloc or not path or not _TABLE.fullmatch(asked.get("table", "")):
        raise _wrong(form)
    return TableAddress(path, asked["table"])


def _query(parts: SplitResult, known: set[str], form: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong(form) from None
    if len(dict(pairs)) < len(pairs) or dict(pairs).keys() - known:
        raise _wrong(form)
    return dict(pairs)


def _path(quoted: str, form: str) -> str:
    try:
        path = unquote(quoted, errors="strict")
    except UnicodeDecodeError:
        raise _wrong(form) from None
    if "\0" in path:
        raise _wrong(form)
    return path


def _wrong(what: str) -> ValueError:
    return ValueError(f"The address of a sink {what}.")
