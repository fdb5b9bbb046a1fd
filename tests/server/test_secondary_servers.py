"""Servers beside the HTTP server start before it is ready, and stop with it, whenever it is told to."""

import asyncio
import signal

from septet.protocols.http.app import App
from septet.server.http_server import HttpServer
from septet.server.http_server_state import HttpServerState
from septet.settings import Limits, Server


class SlowServer:
    """It starts when it may."""

    def __init__(self) -> None:
        self.may_start = asyncio.Event()
        self.told: list[str] = []

    async def start(self) -> None:
        await self.may_start.wait()
        self.told.append("start")

    def drain(self) -> None:
        """It takes nothing."""

    async def stop(self, grace: float) -> bool:
        assert grace > 0
        self.told.append("stop")
        return True


async def told_to_stop_while_one_starts() -> tuple[SlowServer, SlowServer, int]:
    """Two servers beside one that was told to stop while the first of them was starting; its exit code."""
    closed = asyncio.Event()

    def on_listening(listens: bool) -> None:  # noqa: FBT001 - called by place
        if not listens:
            closed.set()

    first, second = SlowServer(), SlowServer()
    state = HttpServerState(App(), Limits(), lambda _: None)
    server = HttpServer(state, Server(drain_delay_seconds=0.0), crowded=lambda: False, on_listening=on_listening)
    serving = asyncio.create_task(server.serve([]))
    await server.listening.wait()
    starting = asyncio.create_task(server.start_secondary(first))
    signal.raise_signal(signal.SIGTERM)
    await closed.wait()
    for _ in range(20):  # it goes as far as it can
        await asyncio.sleep(0)
    assert not serving.done()
    first.may_start.set()
    second.may_start.set()
    await starting
    await server.start_secondary(second)
    await serving
    assert server.stopping
    return first, second, server.exit_code


def test_one_that_starts_while_the_server_is_told_to_stop_is_stopped() -> None:
    first, second, exit_code = asyncio.run(told_to_stop_while_one_starts())

    assert first.told == ["start", "stop"]
    assert second.told in ([], ["start", "stop"])
    assert exit_code == 0
