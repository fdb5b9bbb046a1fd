"""Loads from processes, and beside a tool that knows nothing of Septet."""

import shutil
import subprocess

import pytest

from septet.bench.generators import Generators
from septet.bench.load import Load, LoadPlan, Payload, Target
from septet.bench.load_measurement import measured
from septet.errors import Unavailable
from tests.bench.servers import ServerThread, answer
from tests.e2e.process import free_port

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
DELAY_SECONDS = 0.02
AGREEMENT = 0.15


def plan(port: int) -> LoadPlan:
    return LoadPlan(Target("127.0.0.1", port, "fake"), (Payload(REQUEST, 0, rows=1),), "prediction")


def test_processes_share_a_load_and_join_what_they_record() -> None:
    told: list[tuple[int, int]] = []
    with ServerThread() as server, Generators(plan(server.port), processes=2) as generators:
        closed = generators.measure(Load(4, 0.2), lambda *_: None)
        due = generators.measure(Load(4, 0.7, rate=100.0), lambda *each: told.append(each))
    assert closed.answered == len(closed.response) > 0
    assert due.answered == len(due.response) == 70
    assert due.errors == {}
    assert told


def test_a_server_that_is_not_there_is_told_by_the_processes() -> None:
    with pytest.raises(Unavailable, match="cannot be connected to"), Generators(plan(free_port())) as generators:
        generators.measure(Load(1, 0.2), lambda *_: None)


def test_a_process_that_ends_is_told() -> None:
    with ServerThread(lambda _: (0.0, None)) as server, Generators(plan(server.port)) as generators:
        generators._children[0].kill()
        with pytest.raises(Unavailable, match="generator ended"):
            generators.measure(Load(1, 0.2), lambda *_: None)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_finds_the_same_throughput_where_the_server_decides_it() -> None:
    """Each answer takes 20 ms, so 8 connections can have 400 a second. Of three pairs, the machine may spoil two."""
    load = Load(8, 1.0)
    with ServerThread(lambda _: (DELAY_SECONDS, answer())) as server, Generators(plan(server.port)) as generators:
        command = ["wrk", "-t1", "-c8", "-d1s", f"http://127.0.0.1:{server.port}/"]
        pairs = []
        for _ in range(3):
            ours = measured(load, generators.measure(load, lambda *_: None)).throughput
            assert ours <= 8 / DELAY_SECONDS * 1.01
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            theirs = float(next(line.split()[1] for line in text.splitlines() if line.startswith("Requests/sec:")))
            pairs.append((ours, theirs))
            if abs(ours - theirs) <= AGREEMENT * theirs:
                return
    pytest.fail(f"septet and wrk differ by more than {AGREEMENT:.0%}: {pairs}")
