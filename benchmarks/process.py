"""A server as a process pinned to one core: started, waited for, paused, weighed and ended."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from benchmarks.forms import FormBody

SERVER_CORE = 0
CLIENT_CORE = 1
TICKS = os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def pinned(cores: str, command: list[str]) -> list[str]:
    """The command, bound to cores where there are two or more."""
    return ["taskset", "-c", cores, *command] if (os.cpu_count() or 1) > 1 else command


class Process:
    """One running server; a context manager. `cores` are those it may use, such as `0` or `0,1`."""

    def __init__(
        self, command: list[str], port: int, log: Path, environment: dict[str, str], *, cores: str = str(SERVER_CORE)
    ) -> None:
        self.port = port
        self.grpc_port = 0
        self._log = log
        self.started = time.perf_counter()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                pinned(cores, command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        tree = self._tree()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        for pid in tree:  # what its parent left behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def first_answer(self, body: FormBody, *, within: float = 30.0) -> float:
        """Seconds from the start of the process to the first 200, asking every 2 ms.

        Raises:
            RuntimeError: it ended, or took longer than `within` seconds.
        """
        answered = b""

        def asked() -> bool:
            nonlocal answered
            status, answered, _ = post(self.port, body)
            return status == 200

        return self._first(asked, within, lambda: f"{answered[-300:]!r}")

    def listening(self, *, within: float = 30.0) -> float:
        """Seconds from the start of the process until it listens for gRPC.

        Raises:
            RuntimeError: it ended, or took longer than `within` seconds.
        """

        def connected() -> bool:
            socket.create_connection(("127.0.0.1", self.grpc_port), timeout=1).close()
            return True

        return self._first(connected, within, str)

    def _first(self, succeeds: Callable[[], bool], within: float, seen: Callable[[], str]) -> float:
        while time.perf_counter() - self.started < within and self._process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if succeeds():
                    return time.perf_counter() - self.started
            time.sleep(0.002)
        log = self._log.read_text(errors="replace").strip()
        raise RuntimeError(f"no answer within {within:.0f} s {seen()}; its log ends:\n{log[-1500:]}")

    def pause(self) -> None:
        """Let it use no CPU at all until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def memory(self) -> list[float]:
        """PSS in MB of the process and of each below it, largest first."""
        found = []
        for pid in self._tree():
            with contextlib.suppress(OSError):  # it ended meanwhile
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                found.append(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000)
        return sorted(found, reverse=True)

    def cpu_seconds(self) -> float:
        """CPU time so far, of the process and of each below it; known to a hundredth of a second."""
        ticks = 0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def _tree(self) -> list[int]:
        pids, found = [self._process.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += [int(child) for child in (task / "children").read_text().split()]
        return found

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is not None:
            return
        for pid in self._tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def post(port: int, body: FormBody) -> tuple[int, bytes, dict[str, str]]:
    """One POST on a connection of its own: status, content and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", body.path, body.content, body.headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
