"""An application over gRPC, on the event loop of the process that serves HTTP: the one module that knows grpcio.

It listens only once the model is loaded, also where HTTP already says that it is loading: several processes listen on
the port, each for itself, and the system would give a share of the calls to one that cannot answer yet. A caller that
comes before meets a closed port, which gRPC clients call UNAVAILABLE and try again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio

from septet.errors import StartupError
from septet.protocols.api import App
from septet.protocols.asgi import identity_headers
from septet.protocols.errors import GRPC
from septet.protocols.http import HttpReply, HttpRequest
from septet.protocols.rpc.methods import Method
from septet.settings import Settings

#: gRPC's own types, which have no annotations.
Context: TypeAlias = Any
Handler: TypeAlias = Any
Pairs: TypeAlias = tuple[tuple[str, str], ...]

# What is read of a call's metadata: the rest is not copied.
READ = {"x-request-id": b"x-request-id", "traceparent": b"traceparent"}
LARGEST_DETAILS = 4096  # bytes; clients take 8 KiB of metadata in all
LONGEST_MICROSECONDS = 99_999_999  # gRPC writes a timeout with at most eight digits
# At the end no answer leaves before every call that is on its way has come, or some would be lost: see `GrpcServer`.
QUIET_SECONDS, PARTING_SECONDS = 0.05, 0.5
_STATUS = {code: grpc.StatusCode[name] for code, name in GRPC.items()}


class GrpcServer:
    """Answers calls from an application that has the methods' routes.

    Theory of the end. Once told to stop, gRPC cancels every call that it has received but not handed over yet, and
    whatever is on the wire by then. So answers are held back for a moment before: callers that wait for one send no
    next call, those under way arrive, and once no more come gRPC is told. It tells the callers to connect elsewhere,
    and then they get their answers.
    """

    def __init__(self, app: App, methods: Sequence[Method], addresses: Sequence[str], settings: Settings) -> None:
        self._app = app
        self._methods = methods
        self._addresses = addresses
        self._settings = settings
        self._identity: Pairs = tuple((name.decode(), value.decode()) for name, value in identity_headers(app.identity))
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()
        self._calls = 0
        self._parting: asyncio.Event | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: an address cannot be used.
        """
        limits = self._settings.limits
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", limits.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", limits.max_header_bytes),
                ("grpc.absolute_max_metadata_size", limits.max_header_bytes),
            )
        )
        services: dict[str, dict[str, Handler]] = {}
        for method in self._methods:
            _, service, name = method.route.template.split("/")
            services.setdefault(service, {})[name] = self._handler(method)
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items()]
        )
        credentials = self._credentials()
        for address in self._addresses:
            try:
                if credentials is None:
                    self._server.add_insecure_port(address)
                else:
                    self._server.add_secure_port(address, credentials)
            except RuntimeError as error:
                raise StartupError(f"cannot listen on {address} for gRPC: {error}") from error
        await self._server.start()

    def drain(self) -> None:
        """Say that the server is not ready, but go on answering."""
        self._app.draining = True
        self._draining.set()

    async def stop(self, grace: float) -> bool:
        """Take no more calls, and answer those under way within so many seconds; whether all were."""
        self.drain()
        loop = asyncio.get_running_loop()
        by = loop.time() + grace
        self._parting = parted = asyncio.Event()
        await self._quiet(min(by, loop.time() + PARTING_SECONDS))
        ending = asyncio.ensure_future(self._server.stop(by - loop.time()))
        await asyncio.sleep(0)  # its first step tells the callers to go
        self._stopping.set()
        parted.set()
        await ending
        return loop.time() < by

    async def _quiet(self, by: float) -> None:
        """Wait until no call has come for a moment, or the time is over."""
        loop = asyncio.get_running_loop()
        seen = -1
        while seen != self._calls and loop.time() < by:
            seen = self._calls
            await asyncio.sleep(QUIET_SECONDS)

    def _credentials(self) -> Any:
        server = self._settings.server
        if server.tls_certificate is None:
            return None
        assert server.tls_key is not None  # noqa: S101 - the settings have both or none
        chain, key = (Path(file).read_bytes() for file in (server.tls_certificate, server.tls_key))
        return grpc.ssl_server_credentials([(key, chain)])

    def _handler(self, method: Method) -> Handler:
        if method.streams == "no":
            return grpc.unary_unary_rpc_method_handler(self._once(method))
        if method.streams == "both":
            return grpc.stream_stream_rpc_method_handler(self._each(method))
        return grpc.unary_stream_rpc_method_handler(self._again(method))

    def _once(self, method: Method) -> Callable[[bytes, Context], Awaitable[bytes]]:
        """One message, one answer."""
        app, path = self._app, method.route.template

        async def answer(body: bytes, context: Context) -> bytes:
            self._calls += 1
            reply = await app(_request(path, body, context))
            if self._parting is not None:
                await self._parting.wait()
            if reply.code != "ok":
                await self._abort(context, reply)
            context.set_trailing_metadata((("x-request-id", reply.id), *self._identity))
            return reply.body

        return answer

    def _each(self, method: Method) -> Callable[[Any, Context], Awaitable[None]]:
        """Messages come and go until the caller ends, or the server does."""
        app, path, fault = self._app, method.route.template, method.fault

        async def answer(_: Any, context: Context) -> None:
            context.set_trailing_metadata(self._identity)
            while True:
                body = await self._next(context)
                if body is None:
                    return
                reply = await app(_request(path, body, context))
                if reply.code == "ok":
                    await context.write(reply.body)
                elif fault is not None:
                    await context.write(fault(reply))
                else:
                    await self._abort(context, reply)

        return answer

    async def _next(self, context: Context) -> bytes | None:
        """The next message; None where the caller has ended. A server that stops ends the call."""
        reading = asyncio.ensure_future(context.read())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is draining.", self._identity)
            body = reading.result()
        finally:
            stopping.cancel()
            reading.cancel()
        return None if body is grpc.aio.EOF else body

    def _again(self, method: Method) -> Callable[[bytes, Context], Awaitable[None]]:
        """One message, an answer now, and another when the server drains."""
        app, path = self._app, method.route.template

        async def answer(body: bytes, context: Context) -> None:
            for until in (self._draining, self._stopping):
                reply = await app(_request(path, body, context))
                if reply.code != "ok":
                    await self._abort(context, reply)
                await context.write(reply.body)
                await until.wait()

        return answer

    async def _abort(self, context: Context, reply: HttpReply) -> None:
        more = tuple((name.decode(), value.decode()) for name, value in reply.headers)
        await context.abort(
            _STATUS.get(reply.code, grpc.StatusCode.INTERNAL),
            reply.message or reply.code,
            (("x-request-id", reply.id), *more, *_detailed(reply), *self._identity),
        )


def _detailed(reply: HttpReply) -> tuple[tuple[str, bytes], ...]:
    """The native error body, with code and problems, where a caller's limit on metadata leaves room for it."""
    return (("septet-error-bin", reply.body),) if len(reply.body) <= LARGEST_DETAILS else ()


def _request(path: str, body: bytes, context: Context) -> HttpRequest:
    """The call as HTTP/2 has it on the wire, as far as anybody reads it."""
    headers: dict[bytes, bytes] = {}
    for name, value in context.invocation_metadata() or ():
        known = READ.get(name)
        if known is not None:
            headers[known] = value.encode()
    left = context.time_remaining()
    if left is not None:
        micro = max(0, int(left * 1_000_000))
        headers[b"grpc-timeout"] = b"%du" % micro if micro <= LONGEST_MICROSECONDS else b"%dm" % (micro // 1000)
    return HttpRequest("POST", path, b"", headers, body)
