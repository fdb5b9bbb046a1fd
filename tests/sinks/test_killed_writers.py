"""Processes that bring answers and are killed: what they said is there, and once where that is promised."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from septet.queues.job import StoredReply
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from tests.redis_servers import RedisServer, needs_redis
from tests.sinks.samples import delivery

apsw = pytest.importorskip("apsw")
pytestmark = needs_redis

NAMES = ("folder", "lines", "stream", "table")
REPLY = StoredReply(200, b"application/json", json.dumps("x" * 20_000).encode())


def opened(place: Path, redis: str) -> OpenSinks:
    """Every sink that there is, in one folder."""
    return OpenSinks(
        SinkPolicy(
            sinks=(
                f"folder=file://{place}/folder",
                f"lines=file://{place}/answers.jsonl",
                f"stream={redis}?stream=answers",
                f"table=sqlite:///{place}/answers.db?table=answers",
            )
        )
    )


def bring(place: Path, redis: str, first: int) -> None:
    """Bring answers without end, one number after the other; the number is printed when it is brought everywhere."""
    sinks = opened(place, redis)
    for number in itertools.count(first):
        brought(sinks, number, 1)
        print(number, flush=True)


def brought(sinks: OpenSinks, number: int, attempt: int) -> None:
    """Bring one answer everywhere."""
    for name in NAMES:
        sinks.deliver(name, delivery(id=f"d{number}", job_id=f"j{number}", reply=REPLY, attempt=attempt))


def test_what_killed_writers_have_brought_is_there_and_what_is_brought_again_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    said: list[int] = []
    begun: list[int] = []
    with RedisServer() as server:
        for first in (0, 10_000):
            program = f"from tests.sinks.test_killed_writers import *; bring(Path(sys.argv[1]), sys.argv[2], {first})"
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path), server.url],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ,
            )
            assert process.stdout is not None
            numbers = [int(process.stdout.readline()) for _ in range(15)]
            process.send_signal(signal.SIGKILL)
            numbers += [int(line) for line in process.stdout.read().splitlines()]
            process.wait()
            process.stdout.close()
            said += numbers
            begun += [*numbers[-2:], numbers[-1] + 1]
        with closing(opened(tmp_path, server.url)) as sinks:
            for number in begun:
                brought(sinks, number, 2)
        entries: Any = server.client.xrange("answers")
        stream = [entry["job_id"] for _, entry in entries]
    wanted = sorted(f"j{number}" for number in {*said, *begun})
    assert sorted(stream) == wanted
    with closing(apsw.Connection(str(tmp_path / "answers.db"))) as connection:
        assert [job for (job,) in connection.execute("SELECT job_id FROM answers ORDER BY 1")] == wanted
    files = list((tmp_path / "folder").iterdir())
    assert sorted(file.stem for file in files) == wanted
    assert all(json.loads(file.read_bytes())["data"]["answer"] for file in files)
    lines = [json.loads(line)["id"] for line in (tmp_path / "answers.jsonl").read_bytes().splitlines()]
    assert set(lines) == {f"d{number}" for number in {*said, *begun}}
    assert max(Counter(lines).values()) <= 2
