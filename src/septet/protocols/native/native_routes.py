"""The native predict routes: bytes -> Request, and Response -> bytes."""

from asyncio import get_running_loop
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

import msgspec

from septet.errors import Invalid, ModelFailed, NotFound, Problem
from septet.model.golden import mismatches
from septet.model.signature import Kind
from septet.protocols.codecs.array_json import value_json
from septet.protocols.codecs.body_formats import (
    CSV_ROWS,
    JSON_ROWS,
    NPY_ARRAY,
    ONE_VALUE,
    BodyFormat,
    BodyReaders,
    csv_reader,
    npy_reader,
    value_reader,
)
from septet.protocols.codecs.decoded_body import DecodedBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.prediction_format import MAX_TOP, PredictionFormatter
from septet.protocols.http.http_messages import JSON, HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory, answered
from septet.protocols.http.routes import Encode, Operation, answers, predicts
from septet.registry import ServedModel
from septet.types import FALLBACK, Identity, Request, Response

MAX_DIGITS = 10
_encode = msgspec.json.encode
_OPENAPI = "septet.protocols.native.native_openapi"


class NativeRoutes:
    """`/predict`, `/predict/label` and their self-tests, for one service."""

    def __init__(self, request_factory: RequestFactory) -> None:
        service, limits = request_factory.service, request_factory.limits
        signature = service.signature
        self._request_factory = request_factory
        self._served = request_factory.model
        self._service = service
        self._answers = PredictionFormatter(signature)
        self._encode: Encode = self._prediction
        extra = limits.extra_columns
        rows = limits.max_rows
        readers: dict[BodyFormat, Callable[[], Callable[[bytes], DecodedBody]]] = {
            JSON_ROWS: lambda: JsonBody(signature, max_rows=rows, extra_columns=extra),
            CSV_ROWS: lambda: csv_reader(signature, max_rows=rows, extra_columns=extra),
            NPY_ARRAY: lambda: npy_reader(signature, max_rows=rows),
            ONE_VALUE: lambda: value_reader(signature),
        }
        self._body_readers = BodyReaders(signature, readers)
        self._readers = self._body_readers.by_media_type
        # The first caller does not wait until the decoder is compiled.
        self._body_readers.find(JSON)
        # How the last model that answered is named in a body: mostly it is the same.
        self._named = service.identity
        self._model = _model_field(service.identity)

    @predicts("/predict", operation=Operation("predict", "Predict rows", "predict", _OPENAPI))
    def predict(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`POST /predict`: the full prediction of each row."""
        return self._served, self._request(http, self._answers.outputs), self._encode

    @predicts(
        "/predict/label",
        operation=Operation("predict_label", "Predict the labels of rows", "predict", _OPENAPI),
    )
    def predict_label(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`POST /predict/label`: the label of each row, or with `?top=k` its k best labels and scores."""
        top = _top(http.query)
        self._require_labels()
        encode = self._labels if top is None else partial(self._best, top)
        return self._served, self._request(http, None), encode

    @answers(
        "GET",
        "/predict/test",
        operation=Operation("predict_test", "Predict the sample, check the answer", "predict", _OPENAPI),
    )
    async def test(self, http: HttpRequest) -> HttpReply:
        """`GET /predict/test`: the real path on the packaged sample, compared with the packaged answer."""
        return self._prediction(*await self._answer_sample(http))

    @answers(
        "GET",
        "/predict/test/label",
        operation=Operation("predict_test_label", "Predict the label of the sample", "predict", _OPENAPI),
    )
    async def test_label(self, http: HttpRequest) -> HttpReply:
        """`GET /predict/test/label`: the same, as a label."""
        self._require_labels()
        return self._labels(*await self._answer_sample(http))

    def _require_labels(self) -> None:
        signature = self._service.signature
        if signature.label is None and signature.kind is not Kind.CLASSIFICATION:
            raise NotFound(f"This model's kind is {signature.kind.value}: it answers no labels. Use /predict.")

    def decode(self, http: HttpRequest) -> DecodedBody:
        """The body's tensors, by content type; JSON where there is none.

        Raises:
            UnsupportedMediaType: the content type or encoding is not read here.
            Malformed, Invalid: as the codecs.
        """
        return self._body_readers.find(http.context.media_type)(http.body)

    def _request(self, http: HttpRequest, outputs: tuple[str, ...] | None) -> Request:
        context = http.known_context or http.context
        reader = self._readers.get(context.media_type) or self._body_readers.find(context.media_type)
        body = reader(http.body)
        return self._request_factory.request(
            body.tensors, body.rows, body.id or context.id, outputs, timeout=context.timeout, trace=context.trace
        )

    async def _answer_sample(self, http: HttpRequest) -> tuple[Request, Response]:
        service = self._service
        if service.sample is None:
            raise NotFound("There is no sample that this model answers; pack it with data to have a self-test.")
        rows = len(next(iter(service.sample.values()))) if service.signature.rows else 1
        context = http.context
        request = self._request_factory.request(
            service.sample, rows, context.id, timeout=context.timeout, trace=context.trace
        )
        response = await self._served.predict(request)
        if FALLBACK in response.flags:
            error = ModelFailed("The model did not answer; its fallback did.")
            error.request_id = request.id
            raise error
        if service.expected is not None and mismatches(service.expected, response.tensors):
            error = ModelFailed("The model no longer gives the answers it gave when it was packed.")
            error.request_id = request.id
            raise error
        return request, response

    def _prediction(self, request: Request, response: Response) -> HttpReply:
        tensors = response.tensors
        try:
            get_running_loop()
        except RuntimeError:
            # In a thread, for the answer is large.
            return self._reply(request, response, self._answers.prediction_json(tensors))
        return self._reply(request, response, _encode(self._answers.prediction(tensors)))

    def _labels(self, request: Request, response: Response) -> HttpReply:
        return self._reply(request, response, _encode(self._answers.labels(response.tensors)))

    def _best(self, top: int, request: Request, response: Response) -> HttpReply:
        return self._reply(request, response, value_json(self._answers.top(response.tensors, top)))

    def _reply(self, request: Request, response: Response, prediction: bytes) -> HttpReply:
        shown = request.id
        # Ids are visible ASCII: only these two characters need escaping in JSON.
        if '"' in shown or "\\" in shown:
            shown = shown.replace("\\", "\\\\").replace('"', '\\"')
        model = response.model
        if model is not self._named:
            self._named, self._model = model, _model_field(model)
        end = b'"}'
        if response.flags:
            end = b'","flags":%b}' % msgspec.json.encode(response.flags)
        body = b"".join((b'{"prediction":', prediction, self._model, shown.encode(), end))
        return answered(request, response, body)


def _model_field(identity: Identity) -> bytes:
    """What stands in a body between the prediction and the id."""
    return b',"model":' + msgspec.json.encode(identity) + b',"id":"'


def _top(query: bytes) -> int | None:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("top") if query else None
    if not values:
        return None
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= MAX_TOP):
        what = f"a whole number from 1 to {MAX_TOP}"
        raise Invalid(f"The query parameter 'top' must be {what}.", (Problem(None, "top", what, repr(text[:80])),))
    return int(text)
