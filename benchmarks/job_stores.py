"""Where jobs are stored while they are measured: each time an empty file of SQLite, or a Redis started for it alone."""

import contextlib
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.bench import Bench
from benchmarks.process import CLIENT_CORE, Process, free_ports

#: Stores by kind, and what each promises.
DURABILITY = {
    "sqlite": "SQLite, `synchronous=FULL`",
    "sqlite-off": "SQLite, `synchronous=OFF`",
    "redis-everysec": "Redis, `appendfsync everysec`",
    "redis-always": "Redis, `appendfsync always`",
}
REDIS_KINDS = ("redis-everysec", "redis-always")
BOTH_CORES = "0,1"


@dataclass(frozen=True)
class StoreInUse:
    """One store.

    Attributes:
        kind: of `DURABILITY`.
        url: as Septet takes it.
        rival: as the others take it: the URL of a Redis without a database, or a file.
        redis: the server, where it is one.
        file: where it is a file.
    """

    kind: str
    url: str
    rival: str
    redis: Process | None
    file: Path | None

    def size(self) -> int:
        """Bytes of the file and its log, or of the memory that Redis has in use."""
        if self.file is not None:
            return sum(each.stat().st_size for each in self.file.parent.glob(f"{self.file.name}*"))
        with redis.Redis.from_url(self.url) as client:
            return int(client.info("memory")["used_memory"])

    def keys(self, database: int) -> int:
        """How many keys a database of Redis has."""
        with redis.Redis.from_url(f"{self.rival}/{database}") as client:
            return int(client.dbsize())

    def rows(self, query: str) -> int:
        """What a query counts in the file."""
        assert self.file is not None
        if not self.file.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])


@contextlib.contextmanager
def job_store(bench: Bench, kind: str, *, cores: str = str(CLIENT_CORE), name: str = "") -> Iterator[StoreInUse]:
    """An empty store of a kind; a Redis runs on `cores`. What it holds is thrown away afterwards.

    `name` tells one of two of the same kind from the other.
    """
    folder = bench.cache / "jobs"
    place = folder / f"{kind}{name}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        if kind.startswith("sqlite"):
            yield StoreInUse(kind, f"sqlite:///{place / 'jobs.db'}", str(place / "jobs.db"), None, place / "jobs.db")
            return
        (port,) = free_ports(1)
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(place), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", kind.removeprefix("redis-")]
        with Process(command, port, folder / f"{kind}{name}.log", dict(os.environ), cores=cores) as server:
            _await(port)
            yield StoreInUse(kind, f"redis://127.0.0.1:{port}/0", f"redis://127.0.0.1:{port}", server, None)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _await(port: int) -> None:
    deadline = time.perf_counter() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.perf_counter() > deadline:
                raise RuntimeError("Redis does not listen") from None
            time.sleep(0.01)
        else:
            return
