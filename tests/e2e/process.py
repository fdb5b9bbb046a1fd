"""A server as a real process: started on a free port, waited for, asked, ended."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import until

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "examples" / "iris"
START_SECONDS = 120.0
STOP_SECONDS = 60.0


# Below those that the system itself gives out, to whoever asks for any port and to every connection that is made: one
# of these could be somebody else's before it is bound again. Each process of a test run has its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.count(12_000 + 1_000 * (_WORKER % 20))


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody else is given."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


class ServerProcess:
    """One running server. `{port}` in the command is replaced by its port, a free one where none is given.

    A context manager, ready once entered.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        ready: str = "/health/ready",
        folder: Path = ROOT,
        port: int | None = None,
    ) -> None:
        self.port = free_port() if port is None else port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self._command = [word.format(port=self.port) for word in command]
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._ready = ready
        self._folder = folder

    def __enter__(self) -> Self:
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                self._command, stdout=out, stderr=out, env=self._environment, cwd=self._folder, start_new_session=True
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill()
                raise
        self._kill()

    @property
    def log(self) -> str:
        """What it has written to standard output and standard error."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """POST a JSON body; a header is named with underscores for its hyphens."""
        hyphened = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, json=body, headers=hyphened)

    def prediction(self, path: str, body: object) -> Any:
        """POST a JSON body and return the prediction in the answer."""
        answer = self.post(path, body)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()["prediction"]

    def metric(self, name: str, seconds: float = 30.0, **labels: str) -> float:
        """The sum of its samples of this name that have these labels, read within that time over a new connection."""
        page = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=seconds, trust_env=False).text
        samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers have loaded the model: the first one answers earlier."""
        until(lambda: self.metric("septet_workers_ready") == count)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.client.get(self._ready).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # nobody listens yet
            try:
                code = self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{self._command} ended with {code} before it was ready:\n{self.log}")
        raise AssertionError(f"{self._command} was not ready within {START_SECONDS:g} s:\n{self.log}")

    def _kill(self) -> None:
        """End the whole process group: a server may have children that it left behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def children(pid: int) -> list[int]:
    """The processes that a process has started, such as the workers of a server."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def septet_serve(model: Path | str, *options: str, python: Sequence[str] = ()) -> list[str]:
    """The command line of `septet serve` under this very Python; `python` are options of the interpreter."""
    return [sys.executable, *python, "-m", "septet", "serve", str(model), "--port", "{port}", *options]
