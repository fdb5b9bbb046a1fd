"""The effective settings: flag over environment over file over default."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from septet.errors import SettingsInvalid
from septet.settings import Access, Batch, Jobs, Limits, Logs, Model, Server, Settings
from septet.settings.fields import GROUPS, PREFIX, Field, Value, fields
from septet.settings.parsing import KUBERNETES, parse

CONFIG_ENV = PREFIX + "CONFIG"
#: The key with which a command asks a server.
CLIENT_KEY_ENV = PREFIX + "API_KEY"
DEFAULT = "default"


CLIENT_KEY = " (it is for septet bench, which asks a server; the keys of a server are SEPTET_API_KEYS)"


class Resolved(msgspec.Struct, frozen=True):
    """The effective settings, and the source of each by key, such as `{"server.port": "SEPTET_PORT"}`."""

    settings: Settings
    sources: Mapping[str, str]


class _Chosen(msgspec.Struct, frozen=True):
    raw: object
    source: str
    typed: bool = False


def resolve(flags: Mapping[str, object], env: Mapping[str, str], file: Path | None = None) -> Settings:
    """Find the effective settings; see `explain`."""
    return explain(flags, env, file).settings


def explain(flags: Mapping[str, object], env: Mapping[str, str], file: Path | None = None) -> Resolved:
    """Find the effective settings and where each value came from.

    `flags` are keyed by flag with underscores (`port`, `log_level`), as text or as values of the right type; None
    means not given. `env` is the whole environment: only names that begin with `SEPTET_` count. Without `file`,
    `SEPTET_CONFIG` may name one.

    Raises:
        SettingsInvalid: a key or name is unknown, a value cannot be read, or values contradict each other.
    """
    table = fields()
    if file is None and env.get(CONFIG_ENV):
        file = Path(env[CONFIG_ENV])
    chosen: dict[str, _Chosen] = {}
    if file is not None:
        chosen |= _from_file(table, file)
    chosen |= _from_env(table, env)
    chosen |= _from_flags(table, flags)
    values: dict[str, Value] = {}
    for field in table:
        pick = chosen.get(field.key)
        values[field.key] = field.default if pick is None else parse(field, pick.raw, pick.source, typed=pick.typed)
    sources = {field.key: chosen[field.key].source if field.key in chosen else DEFAULT for field in table}
    settings = from_values(values)
    _check_together(settings)
    return Resolved(settings, sources)


def _from_flags(table: Iterable[Field], flags: Mapping[str, object]) -> dict[str, _Chosen]:
    known = {field.argument: field for field in table}
    for name in flags:
        if name not in known:
            raise SettingsInvalid(f"unknown setting {name!r}{_did_you_mean(name, known)}.")
    return {known[name].key: _Chosen(raw, f"--{known[name].flag}") for name, raw in flags.items() if raw is not None}


def _from_env(table: Iterable[Field], env: Mapping[str, str]) -> dict[str, _Chosen]:
    known = {field.env: field for field in table}
    chosen = {}
    for name, raw in env.items():
        if not name.startswith(PREFIX) or name == CONFIG_ENV:
            continue
        if name not in known:
            hint = KUBERNETES if name.startswith((PREFIX + "SERVICE_", PREFIX + "PORT_")) else ""
            hint = CLIENT_KEY if name == CLIENT_KEY_ENV else hint or _did_you_mean(name, [*known, CONFIG_ENV])
            raise SettingsInvalid(f"unknown setting {name} in the environment{hint}.")
        chosen[known[name].key] = _Chosen(raw, name)
    return chosen


def _from_file(table: Iterable[Field], path: Path) -> dict[str, _Chosen]:
    known = {field.key: field for field in table}
    chosen = {}
    for group, content in _read_toml(path).items():
        if group not in GROUPS:
            raise SettingsInvalid(f"unknown table [{group}] in {path}{_did_you_mean(group, GROUPS)}.")
        if not isinstance(content, dict):
            raise SettingsInvalid(f"{group} in {path} must be a table, written [{group}].")
        for name, raw in content.items():
            key = f"{group}.{name}"
            if key not in known:
                raise SettingsInvalid(f"unknown setting {key} in {path}{_did_you_mean(key, known)}.")
            chosen[key] = _Chosen(raw, str(path), typed=True)
    return chosen


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsInvalid(f"the configuration file {path} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise SettingsInvalid(f"the configuration file {path} is not valid TOML: {exc}.") from exc


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    options = sorted(known)
    _, dot, field = name.partition(".")
    # A key in the wrong table is a likelier slip than a misspelt one.
    found = [key for key in options if dot and key.endswith(dot + field)] or _close(name, options)
    return f" (did you mean {found[0]}?)" if found else ""


def _close(name: str, options: list[str]) -> list[str]:
    import difflib

    cutoff = 0.8 if name.startswith(PREFIX) else 0.6  # the prefix, which all share, counts as likeness
    return difflib.get_close_matches(name, options, n=1, cutoff=cutoff)


def values_of(settings: Settings) -> dict[str, Value]:
    """The settings by their keys, such as `server.port`: for another process."""
    return {field.key: getattr(getattr(settings, field.group), field.name) for field in fields()}


def from_values(values: Mapping[str, Value]) -> Settings:
    """The settings with these values, which were checked before."""

    def part(group: str) -> dict[str, Any]:
        return {key.split(".")[1]: value for key, value in values.items() if key.startswith(group + ".")}

    return Settings(
        server=Server(**part("server")),
        limits=Limits(**part("limits")),
        access=Access(**part("access")),
        model=Model(**part("model")),
        jobs=Jobs(**part("jobs")),
        batch=Batch(**part("batch")),
        logs=Logs(**part("logs")),
    )


def _check_together(settings: Settings) -> None:
    server, limits, model = settings.server, settings.limits, settings.model
    rules = {
        "server.tls_certificate needs server.tls_key as well": server.tls_certificate and not server.tls_key,
        "server.tls_key needs server.tls_certificate as well": server.tls_key and not server.tls_certificate,
        "server.tls_key_password needs server.tls_key as well": server.tls_key_password and not server.tls_key,
        "server.tls_client_ca needs server.tls_certificate as well": server.tls_client_ca
        and not server.tls_certificate,
        "server.max_requests_jitter needs server.max_requests above 0 as well": (
            server.max_requests_jitter and not server.max_requests
        ),
        "limits.timeout_seconds must not be above limits.max_timeout_seconds": (
            limits.timeout_seconds > limits.max_timeout_seconds
        ),
        "model.stale_warn_days must not be above model.stale_error_days": (
            model.stale_warn_days > model.stale_error_days
        ),
    }
    for message, broken in rules.items():
        if broken:
            raise SettingsInvalid(message + ".")
