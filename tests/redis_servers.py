"""Real Redis servers for tests: each on a Unix socket in a folder of its own, as they are set up there."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.waiting import until

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="needs redis-server: scripts/debian redis-server")


class RedisServer:
    """A server that can be ended, killed and started again; settings are `redis-server`'s, as `name=value`.

    Attributes:
        url: of its socket.
        client: for looking into it, as its owner.
    """

    def __init__(self, **settings: str) -> None:
        # The path of a socket is short, and pytest's folders are not.
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self.folder / "socket"
        self.url = f"unix://{self.socket}"
        self.settings = {"save": "", "appendonly": "no", "port": "0", **settings}
        self.client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.client.close()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        settings = {"unixsocket": str(self.socket), "dir": str(self.folder), "loglevel": "warning", **self.settings}
        options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL, cwd=self.folder)
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended"
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
