"""`inference.GRPCInferenceService`: the Open Inference Protocol's methods, and those of Triton's that its clients use.

What describes the server and its models is asked of the REST routes and written as messages, so that both say the same.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from google.protobuf.json_format import ParseDict

from septet.errors import Malformed, NotFound, SeptetError
from septet.protocols.http.http_messages import HttpReply, HttpRequest, request_id_of
from septet.protocols.http.request_factory import RequestFactory, new_id
from septet.protocols.http.routes import Encode, PathRoutes, answers, predicts
from septet.protocols.native.metadata import metadata
from septet.protocols.openinference.infer_messages import InferMessages
from septet.protocols.openinference.long_contents import NO_CONTENTS, without_long_contents
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.field_limits import PACKED, TEXTS, UNCHECKED_BYTES, CountedFields, check_fields
from septet.protocols.rpc.methods import Method, methods_of, parsed, read, written
from septet.protocols.rpc.paths import INFER, INFERENCE, STREAM_INFER
from septet.registry import Models, ServedModel
from septet.settings import Limits
from septet.types import Request

# The fields of a request that hold messages: parameters, inputs and outputs. An input has a shape, parameters and
# contents, some of which are texts.
_COUNTED: Final[CountedFields] = {4: {}, 5: {3: PACKED, 4: {}, 5: {8: TEXTS}}, 6: {2: {}}}


class GrpcService:
    """The methods, for every model that is served.

    `rest` finds the routes of the same protocol over HTTP by their path; `ready` answers whether the server takes
    calls.
    """

    def __init__(
        self, models: Models, limits: Limits, rest: Callable[[str], PathRoutes | None], ready: Callable[[], bool]
    ) -> None:
        self._models = models
        self._limits = limits
        self._rest = rest
        self._ready = ready
        self._request = message("inference.ModelInferRequest")
        self._streamed = message("inference.ModelStreamInferResponse")
        self._messages: dict[ServedModel, InferMessages] = {}
        # By the name and version that a message may have.
        self._named_messages: dict[tuple[str, str], InferMessages] = {}
        models.on_change(self._renew)
        self._renew()

    def _renew(self) -> None:
        self._messages = {
            model: self._messages.get(model) or InferMessages(RequestFactory(model, self._limits))
            for model in self._models
        }
        self._named_messages = {
            (model.service.identity.name, version): messages
            for model, messages in self._messages.items()
            for version in ("", model.service.identity.version)
        }

    def methods(self) -> tuple[Method, ...]:
        """All of them."""
        return methods_of(self, Method(STREAM_INFER, "both", self._fault))

    @predicts(INFER)
    def infer(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`ModelInfer`.

        Raises:
            Malformed: the bytes are no such message.
            NotFound: it asks for a model, or a version, that is not served.
            Invalid: it is not what the protocol or the model asks for.
        """
        return self._decode(http, streamed=False)

    @predicts(STREAM_INFER)
    def stream_infer(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """One message of `ModelStreamInfer`; raises as `infer` does."""
        return self._decode(http, streamed=True)

    @answers("POST", f"/{INFERENCE}/ServerLive")
    async def server_live(self, http: HttpRequest) -> HttpReply:
        """Whether the process lives."""
        return written(http, message("inference.ServerLiveResponse")(live=True))

    @answers("POST", f"/{INFERENCE}/ServerReady")
    async def server_ready(self, http: HttpRequest) -> HttpReply:
        """Whether every model can answer now."""
        return written(http, message("inference.ServerReadyResponse")(ready=self._ready()))

    @answers("POST", f"/{INFERENCE}/ModelReady")
    async def model_ready(self, http: HttpRequest) -> HttpReply:
        """Whether a model can answer now."""
        asked = read("inference.ModelReadyRequest", http.body)
        # As Triton: an unknown model is not ready, and to ask for it is no error.
        try:
            self._models.find(asked.name, asked.version)
        except SeptetError:
            return written(http, message("inference.ModelReadyResponse")(ready=False))
        return written(http, message("inference.ModelReadyResponse")(ready=self._ready()))

    @answers("POST", f"/{INFERENCE}/ServerMetadata")
    async def server_metadata(self, http: HttpRequest) -> HttpReply:
        """What this server is."""
        return await self._rest_message(http, "/v2", "inference.ServerMetadataResponse")

    @answers("POST", f"/{INFERENCE}/ModelMetadata")
    async def model_metadata(self, http: HttpRequest) -> HttpReply:
        """A model's inputs and outputs; without a name, those of the only one."""
        model = self._named(read("inference.ModelMetadataRequest", http.body))
        reply = await self._ask(http, _path(model))
        described = msgspec.json.encode(metadata(model.service, limits=self._limits)).decode()
        facts = {**msgspec.json.decode(reply.body), "properties": {"septet": described}}
        return _of(reply, written(http, ParseDict(facts, message("inference.ModelMetadataResponse")())))

    @answers("POST", f"/{INFERENCE}/ModelConfig")
    async def model_config(self, http: HttpRequest) -> HttpReply:
        """A model as Triton's configurations describe one."""
        asked = read("inference.ModelConfigRequest", http.body)
        path = f"{_path(self._models.find(asked.name, asked.version))}/config"
        return await self._rest_message(http, path, "inference.ModelConfigResponse", "config")

    @answers("POST", f"/{INFERENCE}/ModelStatistics")
    async def model_statistics(self, http: HttpRequest) -> HttpReply:
        """What was counted of a model; without a name, of each."""
        asked = read("inference.ModelStatisticsRequest", http.body)
        of = _path(self._models.find(asked.name, asked.version)) if asked.name else "/v2/models"
        return await self._rest_message(http, f"{of}/stats", "inference.ModelStatisticsResponse")

    @answers("POST", f"/{INFERENCE}/RepositoryIndex")
    async def repository_index(self, http: HttpRequest) -> HttpReply:
        """Every model."""
        kind = "inference.RepositoryIndexResponse"
        return await self._rest_message(http, "/v2/repository/index", kind, "models", method="POST")

    def _decode(self, http: HttpRequest, *, streamed: bool) -> tuple[ServedModel, Request, Encode]:
        body, long = http.body, NO_CONTENTS
        if len(body) > UNCHECKED_BYTES:
            check_fields(body, _COUNTED)
            body, long = without_long_contents(body)
        asked = parsed(self._request, body)
        context = http.known_context or http.context
        request_id = _fit_for_a_header(asked.id) or context.id or new_id()
        messages = self._named_messages.get((asked.model_name, asked.model_version))
        try:
            if messages is None:  # which raises: all names that are served are known
                messages = self._messages[self._models.find(asked.model_name, asked.model_version)]
            return messages.decode(http, asked, request_id, context.trace, streamed=streamed, long=long)
        except SeptetError as error:
            error.request_id = request_id
            error.model = None if messages is None else messages.identity
            raise

    def _fault(self, reply: HttpReply) -> bytes:
        """The message of a stream for a request that failed."""
        answer = self._streamed(error_message=reply.message)
        answer.infer_response.id = reply.id
        return answer.SerializeToString()  # type: ignore[no-any-return]

    def _named(self, asked: Message) -> ServedModel:
        """The model that a message names; without a name, the only one."""
        if asked.name:
            return self._models.find(asked.name, asked.version)
        if self._models.sole is None:
            raise NotFound("Several models are served here; name the one that is meant.")
        return self._models.sole

    async def _rest_message(
        self, http: HttpRequest, path: str, kind: str, under: str | None = None, *, method: str = "GET"
    ) -> HttpReply:
        """The body of a REST route as a message, or as one field of it."""
        reply = await self._ask(http, path, method)
        content: Any = msgspec.json.decode(reply.body)
        facts = content if under is None else {under: content}
        return _of(reply, written(http, ParseDict(facts, message(kind)(), ignore_unknown_fields=True)))

    async def _ask(self, http: HttpRequest, path: str, method: str = "GET") -> HttpReply:
        routes = self._rest(path)
        if routes is None:
            raise NotFound(f"There is no {path!r} here.")
        return await routes.handlers[method](HttpRequest(method, path, b"", http.headers, b""))


def _of(rest: HttpReply, reply: HttpReply) -> HttpReply:
    """A reply of the model that the REST route's reply is of."""
    return msgspec.structs.replace(reply, model=rest.model)


def _path(model: ServedModel) -> str:
    """With the version, since `/v2/models/stats` is the server's, whatever a model is called."""
    identity = model.service.identity
    return f"/v2/models/{identity.name}/versions/{identity.version}"


def _fit_for_a_header(message_id: str) -> str | None:
    """The message's id where it can be a request id; one that cannot stand in a header is echoed, and that is all."""
    try:
        return request_id_of({b"x-request-id": message_id.encode()}) if message_id else None
    except Malformed:
        return None
