"""Real Redis servers for tests: each on a Unix socket in a folder of its own, as they are set up there."""

import select
import shutil
import socket
import subprocess
import tempfile
import threading
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
        # With a title of its own it would lose the variable by which tests/leftovers.py knows it.
        self.settings = {"save": "", "appendonly": "no", "port": "0", "set_proc_title": "no", **settings}
        self.client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End it, and leave nothing of it."""
        self.kill()
        self.client.close()
        # A child that saves may remove its own file meanwhile.
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *, loaded: bool = True) -> None:
        """Start it, and wait until it answers, and has loaded its data unless told not to."""
        assert PROGRAM is not None
        settings = {"unixsocket": str(self.socket), "dir": str(self.folder), "loglevel": "warning", **self.settings}
        options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL, cwd=self.folder)
        until(lambda: self._answers(loaded=loaded))

    def _answers(self, *, loaded: bool) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended"
        try:
            return bool(self.client.ping())
        except redis.BusyLoadingError:
            return not loaded
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class LossyRelay:
    """Hands on what is sent to a server, and its answers; while `losing`, the next answer ends the connection instead.

    Attributes:
        url: of its own socket.
        losing: whether answers are lost.
    """

    def __init__(self, server: RedisServer) -> None:
        self.losing = False
        self._target = str(server.socket)
        path = server.folder / "relay"
        self.url = f"unix://{path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._relay, args=(caller,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _relay(self, caller: socket.socket) -> None:
        with caller, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            while True:
                readable, _, _ = select.select([caller, server], [], [])
                for each in readable:
                    told = each.recv(1 << 16)
                    if not told or (each is server and self.losing):
                        return
                    (server if each is caller else caller).sendall(told)
