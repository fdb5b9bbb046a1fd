"""Very many callers that wait for jobs at once, and those that go away while they wait."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import ServerProcess, children
from tests.faults.job_servers import ended, serving, submit
from tests.waiting import until

CALLERS = 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("waiting")
    with serving(f"sqlite:///{folder}/jobs.db", folder / "log") as server:
        ended(server, [submit(server)])  # by then its processes have opened what they keep open
        yield server
        assert "Traceback" not in server.log


def descriptors(server: ServerProcess) -> dict[int, int]:
    """How many each process has open."""
    processes = (server.process.pid, *children(server.process.pid))
    return {each: len(list(Path(f"/proc/{each}/fd").iterdir())) for each in processes}


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: here", *headers, "", ""]).encode()


def test_a_thousand_callers_that_wait_for_one_job_are_all_told_of_its_end(server: ServerProcess) -> None:
    identifier = submit(server, septet_job_delay="600")
    before = descriptors(server)

    async def call() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request(f"/job/{identifier}?wait=60", "connection: close"))
        answer = await reader.read()
        writer.close()
        return answer

    async def all_of_them() -> list[bytes]:
        calls = [asyncio.create_task(call()) for _ in range(CALLERS)]
        await asyncio.to_thread(until, lambda: sum(descriptors(server).values()) >= sum(before.values()) + CALLERS)
        assert server.client.delete(f"/job/{identifier}").json()["state"] == "cancelled"
        return await asyncio.gather(*calls)

    answers = asyncio.run(all_of_them())
    assert [each for each in answers if b" 200 OK\r\n" not in each or b'"state":"cancelled"' not in each] == []
    until(lambda: descriptors(server) == before)


def test_callers_that_leave_while_they_wait_leave_nothing_behind(server: ServerProcess) -> None:
    identifier = submit(server, septet_job_delay="600")
    path = f"/job/{identifier}"
    known = server.client.get(f"{path}/events").text.partition("id: ")[2].partition("\n")[0]
    before = descriptors(server)
    waits = (request(f"{path}?wait=60"), request(f"{path}/events", f"last-event-id: {known}"))
    callers = []
    for number in range(200):
        caller = socket.create_connection(("127.0.0.1", server.port))
        caller.sendall(waits[number % len(waits)])
        callers.append(caller)
    until(lambda: sum(descriptors(server).values()) == sum(before.values()) + len(callers))
    for each in callers:
        each.close()
    until(lambda: descriptors(server) == before)
    assert server.client.delete(path).json()["state"] == "cancelled"
