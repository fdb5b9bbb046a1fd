"""A real Redis on a Unix socket."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.waiting import until


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[Path]:
    """Run a server; its socket."""
    redis = pytest.importorskip("redis")
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("there is no redis-server on this machine")
    place = folder / "r.sock"
    fixed = ("--port", "0", "--unixsocket", str(place), "--save", "", "--appendonly", "no", "--dir", str(folder))
    process = subprocess.Popen([command, *fixed, *options], stdout=subprocess.DEVNULL)

    def answers() -> bool:
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(place)) as client:
            return bool(client.ping())
        return False

    try:
        until(answers)
        yield place
    finally:
        process.kill()
        process.wait()
