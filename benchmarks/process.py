"""A server as a process pinned to one core: started, waited for, weighed and ended."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

SERVER_CORE = 0
CLIENT_CORE = 1


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(core: int, command: list[str]) -> list[str]:
    """The command, bound to one core where there are two."""
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


class Process:
    """One running server; a context manager."""

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str]) -> None:
        self.port = port
        self._log = log
        self.started = time.perf_counter()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                pinned(SERVER_CORE, command), stdout=out, stderr=out, env={**os.environ, **environment}
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def first_answer(self, path: str, body: bytes, *, within: float = 30.0) -> float:
        """Seconds from the start of the process to the first 200, asking every 2 ms."""
        while time.perf_counter() - self.started < within:
            if self._process.poll() is not None:
                break
            try:
                status, _ = post(self.port, path, body)
            except OSError:
                status = 0
            if status == 200:
                return time.perf_counter() - self.started
            time.sleep(0.002)
        raise RuntimeError(f"no answer on port {self.port}; its log says:\n{self._log.read_text()[-2000:]}")

    def memory(self) -> list[float]:
        """PSS in MB of the process and of each below it, largest first."""
        pids, found = [self._process.pid], []
        while pids:
            pid = pids.pop()
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                tasks = list(Path(f"/proc/{pid}/task").iterdir())
                pids += [int(child) for task in tasks for child in (task / "children").read_text().split()]
            except OSError:
                continue  # it ended meanwhile
            kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            found.append(kilobytes / 1000)
        return sorted(found, reverse=True)


def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """One POST on a connection of its own: the status and the body of the answer."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        received = b""
        expected: int | None = None
        while expected is None or len(received) < expected:
            part = connection.recv(65536)
            if not part:
                break
            received += part
            if expected is None and b"\r\n\r\n" in received:
                expected = _expected_length(received)
    if not received:
        return 0, b""
    header, _, answer = received.partition(b"\r\n\r\n")
    return int(header.split(b" ", 2)[1]), answer


def _expected_length(received: bytes) -> int:
    header = received.partition(b"\r\n\r\n")[0]
    for line in header.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(header) + 4 + int(value)
    raise RuntimeError("an answer without content-length")
