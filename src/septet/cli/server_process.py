"""`septet serve` as a child process, for a command that needs a server to talk to."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from septet.bench.address import ask, target_of
from septet.bench.requests import request_bytes
from septet.errors import StartupError, Unavailable
from septet.server.worker_fork import PR_SET_PDEATHSIG
from septet.settings.resolution import CLIENT_KEY_ENV

START_SECONDS = 120.0
STOP_SECONDS = 15.0
_PAUSE_SECONDS = 0.05
_SHOWN_CHARACTERS = 2000
_HOST = "127.0.0.1"


class ServerProcess:
    """A server of a model on a free port of this machine; a context manager, ready once entered.

    Attributes:
        url: where it answers.
    """

    def __init__(self, path: Path, options: Sequence[str], cores: Sequence[int]) -> None:
        """Args: `options` are more flags of `septet serve`; `cores` are the CPUs for it, empty for all."""
        self._port = _free_port()
        self.url = f"http://{_HOST}:{self._port}"
        command = [sys.executable, "-m", "septet", "serve", str(path), "--host", _HOST, "--port", str(self._port)]
        self._command = [*command, *options]
        self._cores = cores

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        before = os.sched_getaffinity(0) if self._cores else set()
        if self._cores:
            os.sched_setaffinity(0, self._cores)  # inherited, so it holds before the server counts its cores
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
                # What is for this command is no setting of the server.
                env={name: value for name, value in os.environ.items() if name != CLIENT_KEY_ENV},
                preexec_fn=_ends_with_parent(),  # noqa: PLW1509 - this process has no thread yet that holds a lock
            )
        finally:
            if before:
                os.sched_setaffinity(0, before)
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait_until_ready(self) -> None:
        target, _ = target_of(self.url)
        request = request_bytes(target, "GET", "/health/ready", {}, b"")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartupError(f"the server ended before it was ready:\n{self._output_text()}")
            try:
                status, _ = ask(target, request, START_SECONDS)
            except Unavailable:
                status = 0
            if status == 200:  # noqa: PLR2004 - OK
                return
            time.sleep(_PAUSE_SECONDS)
        raise StartupError(f"the server was not ready within {START_SECONDS:g} s:\n{self._output_text()}")

    def _output_text(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-_SHOWN_CHARACTERS:].strip()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _ends_with_parent() -> Callable[[], None] | None:
    """What a child does to be told to stop when its parent ends, however; None where there is no such way."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork

    def tell_at_the_end() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return tell_at_the_end


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
