"""`inference.GRPCInferenceService`: the Open Inference Protocol's methods, and those of Triton's that its clients use.

What describes the server and its model is asked of the REST routes and written as messages, so that both say the same.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict

from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Route, Routes
from septet.protocols.native.metadata import metadata
from septet.protocols.openinference.infer_messages import InferMessages
from septet.protocols.openinference.model_name import ServedModelName
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.methods import Method, described, read, written
from septet.protocols.rpc.paths import INFER, INFERENCE, STREAM_INFER


class GrpcService:
    """The methods of one service.

    Attributes:
        rest: the routes of the same protocol over HTTP, for the same service.
        ready: whether the server takes calls.
    """

    def __init__(self, request_factory: RequestFactory, rest: Routes, ready: Callable[[], bool]) -> None:
        self._messages = InferMessages(request_factory)
        self._service = request_factory.service
        self._limits = request_factory.limits
        self._rest = rest
        self._ready = ready
        self._naming = ServedModelName(request_factory.service.identity)
        self._model = f"/v2/models/{request_factory.service.identity.name}"

    def methods(self) -> tuple[Method, ...]:
        """All of them."""
        describing = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "RepositoryIndex": self._repository_index,
        }
        messages = self._messages
        return (
            Method(Route(INFER, predict=messages.infer)),
            Method(Route(STREAM_INFER, predict=messages.stream_infer), "both", messages.fault),
            *(described(f"/{INFERENCE}/{name}", handle) for name, handle in describing.items()),
        )

    async def _server_live(self, http: HttpRequest) -> HttpReply:
        return written(http, message("inference.ServerLiveResponse")(live=True))

    async def _server_ready(self, http: HttpRequest) -> HttpReply:
        return written(http, message("inference.ServerReadyResponse")(ready=self._ready()))

    async def _model_ready(self, http: HttpRequest) -> HttpReply:
        asked = read("inference.ModelReadyRequest", http.body)
        # As Triton: whoever asks whether an unknown model is ready is told no, and not that it is an error to ask.
        ready = self._naming.knows(asked.name, asked.version) and self._ready()
        return written(http, message("inference.ModelReadyResponse")(ready=ready))

    async def _server_metadata(self, http: HttpRequest) -> HttpReply:
        return await self._said(http, "/v2", "inference.ServerMetadataResponse")

    async def _model_metadata(self, http: HttpRequest) -> HttpReply:
        asked = read("inference.ModelMetadataRequest", http.body)
        if asked.name:  # without a name: of the one that is served
            self._naming.check(asked.name, asked.version)
        reply = await self._rest[self._model].handlers["GET"](http)
        described = msgspec.json.encode(metadata(self._service, limits=self._limits)).decode()
        facts = {**msgspec.json.decode(reply.body), "properties": {"septet": described}}
        return written(http, ParseDict(facts, message("inference.ModelMetadataResponse")()))

    async def _model_config(self, http: HttpRequest) -> HttpReply:
        self._asked("inference.ModelConfigRequest", http)
        return await self._said(http, f"{self._model}/config", "inference.ModelConfigResponse", "config")

    async def _model_statistics(self, http: HttpRequest) -> HttpReply:
        asked = read("inference.ModelStatisticsRequest", http.body)
        if asked.name:  # without a name: of every model, which is this one
            self._naming.check(asked.name, asked.version)
        return await self._said(http, f"{self._model}/stats", "inference.ModelStatisticsResponse")

    async def _repository_index(self, http: HttpRequest) -> HttpReply:
        return await self._said(
            http, "/v2/repository/index", "inference.RepositoryIndexResponse", "models", method="POST"
        )

    def _asked(self, kind: str, http: HttpRequest) -> Message:
        asked = read(kind, http.body)
        self._naming.check(asked.name, asked.version)
        return asked

    async def _said(
        self, http: HttpRequest, path: str, kind: str, under: str | None = None, *, method: str = "GET"
    ) -> HttpReply:
        """What a REST route says, as a message, or as one field of it."""
        reply = await self._rest[path].handlers[method](HttpRequest(method, path, b"", http.headers, b""))
        said: Any = msgspec.json.decode(reply.body)
        facts = said if under is None else {under: said}
        return written(http, ParseDict(facts, message(kind)(), ignore_unknown_fields=True))
