"""What one run of the suite has: where things lie, how long to measure, and how servers are started."""

import contextlib
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.environments import environment
from benchmarks.forms import FormBody
from benchmarks.models import BenchmarkModel
from benchmarks.process import SERVER_CORE, Process, free_ports, pinned
from benchmarks.servers import NGINX, RIVALS, SERVERS

# One thread for every numerical library.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CONSTANT = "constant.body"


@dataclass(frozen=True)
class Bench:
    """How this run measures.

    Attributes:
        cache: where environments, models, bodies and logs lie.
        rounds: of every contender.
        seconds: length of one window of load.
        quick: only to see that it works.
        only: servers to measure; empty for all.
        before: the commit that this source is measured beside, for the question `before`.
    """

    cache: Path
    rounds: int
    seconds: float
    quick: bool = False
    only: frozenset[str] = frozenset()
    before: str = ""
    _pythons: dict[str, Path | RuntimeError] = field(default_factory=dict)

    def wanted(self, servers: list[str]) -> list[str]:
        """Those of `servers` that this run is to measure."""
        return [each for each in servers if not self.only or each in self.only]

    def python(self, name: str) -> Path:
        """The Python of an environment, installed when first asked for.

        Raises:
            RuntimeError: it cannot be installed.
        """
        if name not in self._pythons:
            try:
                self._pythons[name] = environment(name, self.cache, self.before)
            except RuntimeError as error:
                self._pythons[name] = error
        found = self._pythons[name]
        if isinstance(found, RuntimeError):
            raise found
        return found

    @property
    def pythons(self) -> dict[str, Path]:
        """Those in use so far, by environment."""
        return {name: each for name, each in self._pythons.items() if isinstance(each, Path)}

    def start(self, server: str, model: BenchmarkModel, *, cores: str = str(SERVER_CORE)) -> Process:
        """Start a server on free ports.

        Raises:
            RuntimeError: its environment cannot be installed, or what it serves cannot be prepared.
        """
        what = SERVERS[server]
        port, grpc_port, third_port = free_ports(3)
        places = {
            "port": str(port),
            "grpc_port": str(grpc_port),
            "third_port": str(third_port),
            "model": str(model.path),
            "folder": str(self.cache),
            "libraries": sysconfig.get_config_var("LIBDIR"),
        }
        variables = {**os.environ, **THREADS, "MODEL": str(model.path), "PYTHONPATH": str(RIVALS)}
        if what.environment:
            python = self.python(what.environment)
            places["bin"] = str(python.parent)
            variables["PATH"] = f"{python.parent}:{os.environ['PATH']}"
            if what.environment.startswith("septet"):
                del variables["PYTHONPATH"]
        else:
            answer = (self.cache / CONSTANT).read_text()
            (self.cache / "nginx.conf").write_text(NGINX.format(folder=self.cache, port=port, answer=answer))
        variables |= {name: value.format(**places) for name, value in what.variables.items()}
        if what.before:
            self._prepare([str(python), *(word.format(**places) for word in what.before)], variables)
        words = [word.format(**places) for word in what.command]
        if what.environment and not words[0].endswith("/mlserver"):
            words = [str(python), *words]
        process = Process(words, port, self.cache / f"{server}.log", variables, cores=cores)
        process.grpc_port = grpc_port
        return process

    def _prepare(self, command: list[str], variables: dict[str, str]) -> None:
        done = subprocess.run(
            pinned(str(SERVER_CORE), command), check=False, capture_output=True, text=True, env=variables
        )
        if done.returncode:
            raise RuntimeError(f"cannot be prepared: {done.stderr.strip()[-300:]}")


class Fleet:
    """Servers of one model that take turns: all but the one whose turn it is are paused; a context manager.

    Attributes:
        absent: servers that cannot be measured, and why.
    """

    def __init__(self, bench: Bench, model: BenchmarkModel) -> None:
        self._bench = bench
        self._model = model
        self._running: dict[str, Process] = {}
        self._first: dict[str, FormBody | None] = {}
        self._stack = contextlib.ExitStack()
        self.absent: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, server: str, first: FormBody | None, *, cores: str = str(SERVER_CORE)) -> bool:
        """Start a server and have it answer its `first` body, or listen for gRPC where that is None.

        Returns False where it cannot, which is noted in `absent`.
        """
        if server in self._first:
            return True
        if server in self.absent:
            return False
        process = None
        print(f"starting {server} ...", flush=True)
        try:
            process = self._bench.start(server, self._model, cores=cores)
            _await(process, server, first)
        except (RuntimeError, OSError) as error:
            self.absent[server] = str(error)
            print(f"{server}: {error}", flush=True)
            if process is not None:
                process.__exit__()
            return False
        self._first[server] = first
        if SERVERS[server].restless:
            process.__exit__()
        else:
            self._running[server] = self._stack.enter_context(process)
            process.pause()
        return True

    @contextlib.contextmanager
    def turn(self, server: str) -> Iterator[Process]:
        """The server, awake."""
        if server in self._running:
            process = self._running[server]
            process.resume()
            try:
                yield process
            finally:
                process.pause()
            return
        with self._bench.start(server, self._model) as process:
            _await(process, server, self._first[server])
            yield process


def _await(process: Process, server: str, first: FormBody | None) -> None:
    patience = SERVERS[server].patience
    if first is None:
        process.listening(within=patience)
    else:
        process.first_answer(first, within=patience)
