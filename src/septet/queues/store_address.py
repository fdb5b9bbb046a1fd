"""Where jobs are stored, as a URL says it, and how it is opened."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from septet.errors import SettingsInvalid
from septet.queues.job_store import JobSignals, JobStore, StoreLimits

_EXPECTED: Final = "sqlite:///FILE or redis://HOST:PORT/DATABASE"
_PASSWORD: Final = re.compile(r"://([^/@:]*):[^/@]*@")


class StoreAddress(msgspec.Struct, frozen=True):
    """A store of jobs.

    Attributes:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or what redis-py reads (`redis://`, `rediss://`,
            `unix://`), with `?queue=NAME` for one of several in a database.
        durable: refuse a store that may lose what it has acknowledged.
        limits: how much it takes, and how long it keeps it.
    """

    url: str
    durable: bool = False
    limits: StoreLimits = StoreLimits()

    def __repr__(self) -> str:
        """Show no password."""
        return f"StoreAddress({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return _PASSWORD.sub(r"://\1:***@", self.url)

    @property
    def file(self) -> Path | None:
        """The file of an embedded store; None for one that is a server.

        Raises:
            SettingsInvalid: the URL is none that jobs can be stored at.
        """
        scheme, _, rest = self.url.partition("://")
        if scheme in ("redis", "rediss", "unix"):
            return None
        # As SQLAlchemy and others write it: three slashes before a relative path, four before an absolute one.
        if scheme != "sqlite" or not rest.startswith("/") or len(rest) == 1 or urlsplit(self.url).query:
            raise SettingsInvalid(f"jobs cannot be stored at {self.shown!r}; expected {_EXPECTED}")
        return Path(rest[1:])


def open_store(address: StoreAddress) -> JobStore:
    """Open a store, which blocks.

    Raises:
        SettingsInvalid: the URL is none that jobs can be stored at.
        StartupError: it cannot be opened, or is not as durable as it has to be.
        MissingExtra: the library that it needs is not installed.
    """
    file = address.file
    if file is None:
        from septet.queues.redis_store import RedisStore

        return RedisStore(address.url, address.limits, durable=address.durable)
    from septet.queues.sqlite_store import SqliteStore

    return SqliteStore(file, address.limits)


def open_signals(address: StoreAddress) -> JobSignals:
    """Hear of changes of a store, and tell of them.

    Raises:
        StartupError: that cannot be.
    """
    file = address.file
    if file is None:
        from septet.queues.redis_signals import RedisSignals

        return RedisSignals(address.url)
    from septet.queues.file_signals import FileSignals

    return FileSignals(file)
