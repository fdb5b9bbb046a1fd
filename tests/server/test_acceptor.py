"""Workers on one socket take about as many connections each, and none is lost."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from septet.server.acceptor import Acceptor


def listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0), backlog=128)
    made.settimeout(0)
    return made


class Worker:
    """One acceptor, and the connections that it has taken."""

    def __init__(self, shared: socket.socket, crowded: Callable[[], bool] = lambda: False) -> None:
        self.taken: list[socket.socket] = []
        self.acceptor = Acceptor(shared, self._open, lambda: len(self.taken), crowded)

    async def _open(self, connection: socket.socket) -> None:
        self.taken.append(connection)

    def leave(self) -> None:
        self.acceptor.close()
        for each in self.taken:
            each.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - sockets decide when
            await asyncio.sleep(0)


def told(story: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
    with listening() as shared:
        asyncio.run(story(shared))


def connect(shared: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(shared.getsockname()) for _ in range(count)]


def test_a_burst_is_shared_by_those_who_accept() -> None:
    async def story(shared: socket.socket) -> None:
        other = shared.dup()
        workers: list[Worker] = []
        workers.append(Worker(shared, lambda: len(workers[0].taken) > len(workers[1].taken) + 1))
        workers.append(Worker(other, lambda: len(workers[1].taken) > len(workers[0].taken) + 1))
        clients = connect(shared, 60)
        await until(lambda: sum(len(each.taken) for each in workers) == 60)
        counts = [len(each.taken) for each in workers]
        assert max(counts) - min(counts) <= 4, counts
        for worker in workers:
            worker.leave()
        for client in clients:
            client.close()
        other.close()

    told(story)


def test_who_has_many_connections_takes_several_in_a_turn() -> None:
    async def story(shared: socket.socket) -> None:
        worker = Worker(shared)
        worker.taken = connect(shared, 80)
        await until(lambda: len(worker.taken) == 160)
        turns = 0
        clients = connect(shared, 60)
        while len(worker.taken) < 220:
            await asyncio.sleep(0)
            turns += 1
        assert turns < 20, turns
        worker.leave()
        for each in clients:
            each.close()

    told(story)


def test_a_crowded_worker_accepts_where_nobody_else_comes() -> None:
    async def story(shared: socket.socket) -> None:
        worker = Worker(shared, lambda: True)
        clients = connect(shared, 5)
        await until(lambda: len(worker.taken) == 5)
        worker.leave()
        for each in clients:
            each.close()

    told(story)


def test_who_has_connected_is_taken_in_at_the_end() -> None:
    async def story(shared: socket.socket) -> None:
        worker = Worker(shared, lambda: True)
        clients = connect(shared, 7)
        worker.acceptor.close()
        worker.acceptor.close()
        await worker.acceptor.wait_closed()
        assert len(worker.taken) == 7
        worker.leave()
        for each in clients:
            each.close()

    told(story)


def test_a_connection_that_cannot_be_opened_is_closed() -> None:
    async def fail(_: socket.socket) -> None:
        raise ConnectionResetError

    async def story(shared: socket.socket) -> None:
        acceptor = Acceptor(shared, fail, lambda: 0, lambda: False)
        (client,) = connect(shared, 1)
        client.settimeout(0)
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        acceptor.close()
        client.close()

    told(story)


class Exhausted(socket.socket):
    """Has no descriptor left at first."""

    failures = 1

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_it_goes_on_once_there_are_descriptors_again() -> None:
    async def story(shared: socket.socket) -> None:
        poor = Exhausted(fileno=shared.dup().detach())
        worker = Worker(poor)
        (client,) = connect(shared, 1)
        await until(lambda: len(worker.taken) == 1)
        worker.leave()
        client.close()
        poor.close()

    told(story)
