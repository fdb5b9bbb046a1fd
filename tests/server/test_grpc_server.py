"""The gRPC server on an event loop, over services that answer late, badly or not at all."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import msgspec
import pytest

from septet.assembly.grpc_serving import grpc_server
from septet.errors import ModelFailed, Overloaded, StartupError
from septet.events import NullObserver, Observer
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.rpc.paths import INFER
from septet.server.connection_gauge import ConnectionGauge
from septet.server.grpc_server import GrpcServer
from septet.server.h2 import h2_frames
from septet.server.listener import reserve
from septet.server.tls_files import TlsFiles
from septet.service import Service
from septet.settings import Limits, Server, Settings
from septet.testing import FailingPredictor, HeldPredictor, HeldRequest, RecordingObserver
from septet.types import Predictor
from tests.protocols.models import classifier
from tests.protocols.openinference.grpc_messages import rows_of_x


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a condition of any kind
            await asyncio.sleep(0.005)


def served(
    service: Service, reserved: socket.socket, *, observer: Observer | None = None, settings: Settings | None = None
) -> GrpcServer:
    """A server that has not started, with nobody beside it."""
    app = App()
    app.models.install(service)
    return grpc_server(
        app,
        settings or Settings(),
        observer or NullObserver(),
        [reserved],
        ConnectionGauge(SharedMetrics(MetricsLayout((), ())), 0),
    )


class Called(NamedTuple):
    """A server, the method ModelInfer of a channel to it, what holds its requests, and what it tells of them."""

    server: GrpcServer
    infer: Any
    held: HeldPredictor
    observer: RecordingObserver

    async def first(self) -> HeldRequest:
        """The first request, once it has come."""
        await self.held.until_held()
        return self.held.held[0]


@asynccontextmanager
async def started(predictor: Predictor | None) -> AsyncIterator[Called]:
    """A server whose requests are held, unless a predictor answers them."""
    held, observer = HeldPredictor(classifier().predictor), RecordingObserver()
    service = msgspec.structs.replace(classifier(), predictor=predictor or held)
    (reserved,) = reserve("127.0.0.1", 0)
    with reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        server = served(service, reserved, observer=observer)
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel:
            yield Called(server, channel.unary_unary(INFER), held, observer)
        await server.stop(0)


def run(scenario: Callable[[Called], Awaitable[None]], error: Exception | None = None) -> None:
    """Run a scenario over a service that is held, or gives that error at once."""

    async def main() -> None:
        async with started(FailingPredictor(error) if error is not None else None) as called:
            await scenario(called)

    asyncio.run(main())


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def test_a_call_that_is_cancelled_cancels_its_request() -> None:
    async def scenario(called: Called) -> None:
        call = called.infer(rows_of_x().SerializeToString())
        held = await called.first()
        call.cancel()
        await eventually(lambda: held.cancelled)
        assert [(event.route, event.code) for event in called.observer.events] == [(INFER, "cancelled")]

    run(scenario)


@pytest.mark.parametrize(("seconds", "most"), [(5, 5), (200, 200), (4_000, 300)])
def test_the_time_of_a_call_is_the_deadline_of_its_request(seconds: float, most: float) -> None:
    async def scenario(called: Called) -> None:
        call = called.infer(rows_of_x().SerializeToString(), timeout=seconds)
        request = (await called.first()).request
        assert request.deadline is not None
        left = request.deadline - asyncio.get_running_loop().time()
        assert left == pytest.approx(most, abs=3)
        call.cancel()

    run(scenario)


def test_a_request_whose_time_is_over_is_given_up() -> None:
    async def scenario(called: Called) -> None:
        error = await failure(called.infer(rows_of_x().SerializeToString(), timeout=0.1))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await eventually(lambda: called.held.held[0].cancelled)

    run(scenario)


def test_a_busy_server_is_unavailable_and_says_when_to_try_again() -> None:
    async def scenario(called: Called) -> None:
        error = await failure(called.infer(rows_of_x(id="mine").SerializeToString()))
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Many wait.")
        trailing = dict(error.trailing_metadata())
        assert (trailing["retry-after"], trailing["septet-model"]) == ("3", "iris")
        assert [event.code for event in called.observer.events] == ["overloaded"]

    run(scenario, Overloaded("Many wait.", retry_after=3))


@pytest.mark.parametrize("error", [ModelFailed("It failed."), ValueError("secret")])
def test_a_fault_of_ours_is_internal_and_keeps_its_secrets(error: Exception) -> None:
    async def scenario(called: Called) -> None:
        found = await failure(called.infer(rows_of_x().SerializeToString()))
        assert found.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in found.details()

    run(scenario, error)


def test_a_call_under_way_is_answered_before_the_end() -> None:
    async def scenario(called: Called) -> None:
        call = called.infer(rows_of_x().SerializeToString())
        await called.held.until_held()
        stopping = asyncio.ensure_future(called.server.stop(20))
        called.held.release()
        assert await call
        assert await stopping

    run(scenario)


def test_the_end_comes_in_time_and_says_that_a_call_was_cut_off() -> None:
    async def scenario(called: Called) -> None:
        call = called.infer(rows_of_x().SerializeToString())
        await called.held.until_held()
        assert not await called.server.stop(0.2)
        error = await failure(call)
        assert error.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}

    run(scenario)


def test_a_socket_that_cannot_be_used_stops_the_start() -> None:
    async def main() -> None:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as wrong,
            pytest.raises(StartupError, match="cannot listen for gRPC"),
        ):
            await served(classifier(), wrong).start()

    asyncio.run(main())


@asynccontextmanager
async def raw(limits: Limits) -> AsyncIterator[tuple[GrpcServer, str, int]]:
    """A server without a client, and where it is."""
    (reserved,) = reserve("127.0.0.1", 0)
    with reserved:
        server = served(classifier(), reserved, settings=Settings(limits=limits))
        await server.start()
        yield server, *reserved.getsockname()


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", h2_frames.PREFACE + bytes(range(256)), h2_frames.PREFACE, b""]
)
def test_who_speaks_nothing_or_something_else_is_told_so_and_left(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with raw(Limits(header_timeout_seconds=0.5)) as (server, host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(sent)
            found = await asyncio.wait_for(reader.read(), 60)
            kinds = [kind for kind, *_ in h2_frames.FrameSplitter().feed(h2_frames.PREFACE + found)]
            assert (kinds[0], kinds[-1]) == (h2_frames.SETTINGS, h2_frames.GOAWAY)
            writer.close()
            await writer.wait_closed()
            assert await server.stop(20)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert not caplog.records


def test_a_client_that_does_not_leave_is_left_and_was_not_cut_off() -> None:
    async def main() -> None:
        async with raw(Limits()) as (server, host, port):
            loop = asyncio.get_running_loop()
            with socket.socket() as one, socket.socket() as other:
                for each in (one, other):
                    each.setblocking(False)  # noqa: FBT003 - the standard library's signature
                    await loop.sock_connect(each, (host, port))
                    await loop.sock_sendall(each, h2_frames.PREFACE + h2_frames.settings({}))
                assert await loop.sock_recv(one, 100)
                assert await server.stop(0.2)

    asyncio.run(main())


def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_text("")
    server = Server(tls_certificate=str(file), tls_key=str(file))

    with pytest.raises(StartupError, match=r"TLS cannot be served with .*both\.pem"):
        TlsFiles(server)
