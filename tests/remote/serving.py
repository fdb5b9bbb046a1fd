"""Servers on real sockets within the test's process, of any service."""

import asyncio
import socket
import threading
from typing import Self

import httpx
import msgspec
import uvloop

from septet.assembly.composition import application, layout
from septet.assembly.grpc_serving import grpc_server
from septet.events import NullObserver
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.server.connection_gauge import ConnectionGauge
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.server.listener import reserve
from septet.service import Service
from septet.settings import Limits, Settings
from septet.testing import HeldPredictor, RecordingPredictor

SETTINGS = Settings(limits=Limits(max_rows=1000, max_body_bytes=1_000_000))


def recorded(service: Service) -> tuple[Service, RecordingPredictor]:
    """A service whose requests are noted."""
    recorder = RecordingPredictor(service.predictor)
    return msgspec.structs.replace(service, predictor=recorder), recorder


def held(service: Service) -> tuple[Service, HeldPredictor]:
    """A service whose requests are held as soon as the predictor is told to."""
    predictor = HeldPredictor(service.predictor, holding=False)
    return msgspec.structs.replace(service, predictor=predictor), predictor


class ServedApp:
    """Services behind a socket, on an event loop and a thread of their own. A context manager.

    Attributes:
        app: the application.
        url, grpc_url: where it is; the latter where gRPC was asked for.
        client: for HTTP.
    """

    def __init__(self, *services: Service, grpc: bool = False) -> None:
        self.app = App()
        for each in services:
            self.app.models.install(each)
        names = [each.identity.name for each in services]
        application(self.app, SETTINGS, NullObserver(), SharedMetrics(layout(len(names))).snapshot, names)
        self._grpc = reserve("127.0.0.1", 0) if grpc else []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._loop = uvloop.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.grpc_url = f"grpc://127.0.0.1:{self._grpc[0].getsockname()[1]}" if grpc else ""
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0)

    def install(self, service: Service) -> None:
        """Begin to serve a model."""

        async def install() -> None:
            self.app.models.install(service)

        asyncio.run_coroutine_threadsafe(install(), self._loop).result(60.0)

    def swap(self, service: Service) -> None:
        """Serve this service in place of the one with its name."""

        async def swap() -> None:
            await self.app.models.swap(service)

        asyncio.run_coroutine_threadsafe(swap(), self._loop).result(60.0)

    @property
    def requests(self) -> int:
        """How many were answered."""
        return self._state.answered

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.registry)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(60.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60.0)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._state = HttpServerState(self.app, SETTINGS.limits, lambda _: None)
        server = await self._loop.create_server(lambda: HttpConnection(self._state), sock=self._listener)
        calls = None
        if self._grpc:
            calls = grpc_server(
                self.app, SETTINGS, NullObserver(), self._grpc, ConnectionGauge(SharedMetrics(MetricsLayout((), ())), 0)
            )
            await calls.start()
        self._started.set()
        await self._stop.wait()
        server.close()
        if calls is not None:
            await calls.stop(1.0)
        for connection in self._state.registry:
            assert isinstance(connection, HttpConnection)
            connection._transport.abort()
        await asyncio.sleep(0)
