"""What a serving process runs: it loads the models, serves HTTP, and starts the servers beside it."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Callable, Sequence

import msgspec
import uvloop

from septet.protocols.http.app import App
from septet.server.daemon_thread import in_daemon_thread
from septet.server.http_server import HttpServer, SecondaryServer
from septet.server.http_server_state import HttpServerState
from septet.server.tls import watch
from septet.server.tls_files import TlsFiles
from septet.settings import Settings

HEARTBEAT_SECONDS = 1.0
#: How long a thread that reads or writes large bodies may keep the event loop waiting, where it runs Python's code: the
#: loop asks for its turn several times for one request, and by default waits 5 ms each time.
SWITCH_SECONDS = 0.0005


class WorkerHooks(msgspec.Struct, frozen=True):
    """What a worker calls while it runs.

    Attributes:
        load: loads the models into the application; raises StartupError where it cannot.
        on_ready: called once the worker answers predictions.
        on_heartbeat: called every second while the event loop runs.
        on_connections: called with how many HTTP connections are open.
        on_listening: called with whether HTTP connections are accepted.
        crowded: whether another worker should accept the next connection first.
        secondary_servers: the servers that answer beside HTTP; `load` adds them.
        tls_files: what encrypts connections; None for plain ones.
        listens_early: whether to listen, and answer 503, while the models load; a worker that joins others must not.
    """

    load: Callable[[], None]
    on_ready: Callable[[], None]
    on_heartbeat: Callable[[], None]
    on_connections: Callable[[int], None]
    on_listening: Callable[[bool], None]
    crowded: Callable[[], bool]
    secondary_servers: Sequence[SecondaryServer]
    tls_files: TlsFiles | None
    listens_early: bool


def run_worker(app: App, sockets: Sequence[socket.socket], settings: Settings, hooks: WorkerHooks) -> int:
    """Serve until a signal comes, and return the exit code.

    Raises:
        StartupError: the model cannot be served.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    if not hooks.listens_early:
        hooks.load()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(app, list(sockets), settings, hooks))


async def _serve(app: App, sockets: list[socket.socket], settings: Settings, hooks: WorkerHooks) -> int:
    """Return the exit code."""
    state = HttpServerState(app, settings.limits, hooks.on_connections)
    server = HttpServer(
        state, settings.server, crowded=hooks.crowded, on_listening=hooks.on_listening, tls_files=hooks.tls_files
    )
    serving = asyncio.create_task(server.serve(sockets))
    helpers = [asyncio.create_task(state.registry.sweep()), asyncio.create_task(_beat(hooks.on_heartbeat))]
    if hooks.tls_files is not None:
        helpers.append(asyncio.create_task(watch(hooks.tls_files)))
    try:
        await _listening(serving, server.listening)
        if hooks.listens_early:
            # So that the loop can answer that it is not ready, and can stop.
            loading = in_daemon_thread(hooks.load, "septet-load")
            await asyncio.wait((serving, loading), return_when=asyncio.FIRST_COMPLETED)
            if not loading.done():
                await serving
                return 0
            loading.result()
        for secondary in hooks.secondary_servers:
            await server.start_secondary(secondary)
        # Its parent does not wait for long for what was told to stop before it was ready: it must not begin anything.
        if not server.stopping:
            # What was made until now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            hooks.on_ready()
        await serving
    except BaseException:
        server.stop_now()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        raise
    finally:
        for helper in helpers:
            helper.cancel()
    return server.exit_code


async def _listening(serving: "asyncio.Task[None]", listening: asyncio.Event) -> None:
    """Wait until the server listens, or has failed to."""
    wait = asyncio.create_task(listening.wait())
    await asyncio.wait((serving, wait), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        wait.cancel()
        serving.result()


async def _beat(beat: Callable[[], None]) -> None:
    while True:
        beat()
        await asyncio.sleep(HEARTBEAT_SECONDS)
