"""`/v1`: the REST protocol of TensorFlow Serving, which is KServe's version 1 too.

Values are the model's raw tensors, as that protocol has them: no labels in place of numbers, and all outputs; bytes are
`{"b64": "..."}`. No content type is asked for: TensorFlow Serving looks at none, and the curl commands of its users
send that of a form.
"""

from typing import Any, Literal

import msgspec

from septet.errors import Unavailable
from septet.protocols.codecs.array_json import value_json
from septet.protocols.codecs.base64_objects import base64_objects
from septet.protocols.codecs.prediction_format import alike
from septet.protocols.codecs.rows_document import INPUTS, INSTANCES, OptionalKey, RowsDocument, RowsFormat
from septet.protocols.http.health_routes import ServerState
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory, answered, checked_id
from septet.protocols.http.routes import Encode, Operation, answers, predicts
from septet.protocols.tfserving.signature_def import DEFAULT, model_metadata
from septet.registry import Models, ServedModel
from septet.tensors import nested
from septet.types import Request, Response, Tensors

BODY_FORMAT = RowsFormat(
    (INSTANCES, INPUTS),
    {"signature_name": OptionalKey(Literal[DEFAULT, ""], f"{DEFAULT!r}, the one signature of a model")},
    '{"instances": [[...]]}',
)
MODEL = "/v1/models/{model}"
VERSION = f"{MODEL}/versions/{{version}}"
_OPENAPI = "septet.protocols.tfserving.v1_openapi"


class V1Routes:
    """The routes of one model; while the server drains it is not ready, and still answers."""

    def __init__(self, request_factory: RequestFactory, state: ServerState) -> None:
        service = request_factory.service
        self._request_factory = request_factory
        self._served = request_factory.model
        self._state = state
        self._identity = service.identity
        self._rows = service.signature.rows
        self._single = len(service.signature.outputs) == 1
        self._bytes = {each.name for each in service.signature.outputs if each.dtype == "bytes"}
        limits = request_factory.limits
        self._body = RowsDocument(
            service.signature, BODY_FORMAT, max_rows=limits.max_rows, extra_columns=limits.extra_columns
        )
        self._described = msgspec.json.encode(model_metadata(service.identity, service.signature))

    @predicts(
        f"{MODEL}:predict",
        f"{VERSION}:predict",
        operation=Operation("v1_predict", "Predict rows or tensors", "protocols", _OPENAPI),
    )
    def predict(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`POST /v1/models/{model}:predict`.

        Raises:
            Malformed, Invalid: as `RowsDocument`.
        """
        context = http.known_context or http.context
        form, body = self._body(http.body)
        request = self._request_factory.request(body.tensors, body.rows, context.id, trace=context.trace)
        return self._served, request, self._outputs if form == INPUTS else self._predictions

    @answers(
        "GET",
        MODEL,
        VERSION,
        operation=Operation("v1_status", "Can the model answer now?", "protocols", _OPENAPI),
    )
    async def status(self, http: HttpRequest) -> HttpReply:
        """`GET /v1/models/{model}`: what TensorFlow Serving and KServe say of a model, in one body.

        Raises:
            Unavailable: the server is draining.
        """
        if self._state.draining:
            raise Unavailable("The server is draining.")
        version = {
            "version": self._identity.version,
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        known = {"model_version_status": [version], "name": self._identity.name, "ready": True}
        return self._reply(http, msgspec.json.encode(known))

    @answers(
        "GET",
        f"{MODEL}/metadata",
        f"{VERSION}/metadata",
        operation=Operation("v1_metadata", "Describe the model", "protocols", _OPENAPI),
    )
    async def metadata(self, http: HttpRequest) -> HttpReply:
        """`GET /v1/models/{model}/metadata`: the signature in TensorFlow's words."""
        return self._reply(http, self._described)

    def _predictions(self, request: Request, response: Response) -> HttpReply:
        """By row: bare values for a single output, else an object of outputs."""
        shown = self._by_output(response.tensors)
        if not self._single and self._rows and alike(shown.values()):
            shown = [dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True)]
        return _answer(b'{"predictions":', shown, request, response)

    def _outputs(self, request: Request, response: Response) -> HttpReply:
        return _answer(b'{"outputs":', self._by_output(response.tensors), request, response)

    def _reply(self, http: HttpRequest, body: bytes) -> HttpReply:
        return HttpReply(200, body, checked_id(http.headers), model=self._identity)

    def _by_output(self, tensors: Tensors) -> Any:
        lists = {name: nested(name, tensors) for name in tensors}
        for name in self._bytes:
            lists[name] = base64_objects(lists[name])
        return next(iter(lists.values())) if self._single else lists


def _answer(begin: bytes, shown: Any, request: Request, response: Response) -> HttpReply:
    body = b"".join((begin, value_json(shown), b"}"))
    return answered(request, response, body)


class V1Models:
    """The list of models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @answers("GET", "/v1/models", operation=Operation("v1_models", "List the models", "protocols", _OPENAPI))
    async def models(self, http: HttpRequest) -> HttpReply:
        """`GET /v1/models`."""
        names = [each.service.identity.name for each in self._models]
        return HttpReply(200, msgspec.json.encode({"models": names}), checked_id(http.headers))
