"""`/invocations`: what MLflow's scoring server answers, and what SageMaker asks of a container.

An answer is what `predict()` of the model itself gives, because that is what MLflow serves; see
`septet.protocols.mlflow.predict_output`. Columns that the model does not have are passed over, as MLflow does.
"""

from typing import Any

import msgspec

from septet.errors import UnsupportedMediaType
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.decoded_body import DecodedBody
from septet.protocols.codecs.npy_body import NpyBody
from septet.protocols.codecs.rows_document import (
    INPUTS,
    INSTANCES,
    RECORDS,
    SPLIT,
    OptionalKey,
    RowsDocument,
    RowsFormat,
)
from septet.protocols.http.http_messages import JSON, HttpReply, HttpRequest, media_parameters, shown
from septet.protocols.http.request_factory import RequestFactory, answered
from septet.protocols.http.routes import Encode, Operation, predicts
from septet.protocols.mlflow import invocations_openapi
from septet.protocols.mlflow.csv_predictions import CSV, csv_lines, prefers_csv
from septet.protocols.mlflow.predict_output import predict_output
from septet.registry import ServedModel
from septet.types import Request, Response

BODY_FORMAT = RowsFormat(
    (SPLIT, RECORDS, INSTANCES, INPUTS),
    {"params": OptionalKey(dict[str, Any], "an object")},
    '{"dataframe_split": {"columns": [...], "data": [[...]]}}',
)
# How the body of a JSON content type with a `format` is written (MLflow before 2.0): it is the frame itself.
_FORMATS = {b"pandas-split": SPLIT, b"pandas-records": RECORDS}
_HEADER = {b"present": True, b"absent": False}


class InvocationsRoute:
    """The route of one service."""

    def __init__(self, request_factory: RequestFactory) -> None:
        signature, limits = request_factory.service.signature, request_factory.limits
        self._request_factory = request_factory
        self._served = request_factory.model
        self._json = RowsDocument(signature, BODY_FORMAT, max_rows=limits.max_rows, extra_columns="ignore")
        self._csv: CsvBody | None = None
        if signature.columns and signature.rows:
            self._csv = CsvBody(signature, max_rows=limits.max_rows, extra_columns="ignore")
        self._npy = NpyBody(signature, max_rows=limits.max_rows)
        self._wanted, _, self._shown = predict_output(signature, request_factory.service.manifest)
        self._rows = signature.rows

    @predicts(
        "/invocations",
        operation=Operation(
            "invocations", "Predict as MLflow and SageMaker do", "protocols", invocations_openapi.predict
        ),
    )
    def predict(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`POST /invocations`.

        Raises:
            UnsupportedMediaType: the content type or one of its parameters is not read here.
            Malformed, Invalid: as the codecs.
        """
        context = http.known_context or http.context
        body = self._decode(http, context.media_type)
        request = self._request_factory.request(body.tensors, body.rows, context.id, self._wanted, trace=context.trace)
        return self._served, request, self._as_csv if prefers_csv(http.headers.get(b"accept", b"")) else self._as_json

    def _decode(self, http: HttpRequest, kind: bytes) -> DecodedBody:
        parameters = media_parameters(http.headers)
        charset = parameters.get(b"charset", b"utf-8")
        if charset not in (b"utf-8", b"utf8"):
            raise UnsupportedMediaType(f"The charset {shown(charset)} is not read; send UTF-8.")
        if kind in (JSON, b""):
            written = parameters.get(b"format")
            if written is None:
                return self._json(http.body)[1]
            if written in _FORMATS:
                return self._json.value(_FORMATS[written], http.body)
            raise UnsupportedMediaType(f"The format {shown(written)} is not read; send 'dataframe_split' as JSON.")
        if kind == CSV and self._csv is not None:
            return self._csv(http.body, header=_HEADER.get(parameters.get(b"header", b"")))
        if kind == b"application/x-npy":
            return self._npy(http.body)
        text = f"The content type {shown(kind)} is not read here. Send application/json or application/x-npy"
        raise UnsupportedMediaType(f"{text}." if self._csv is None else f"{text}, or text/csv.")

    def _as_json(self, request: Request, response: Response) -> HttpReply:
        body = b"".join((b'{"predictions":', msgspec.json.encode(self._shown(response.tensors)), b"}"))
        return answered(request, response, body)

    def _as_csv(self, request: Request, response: Response) -> HttpReply:
        """One line per row, without a header; of a model without rows, one line."""
        shown = self._shown(response.tensors)
        body = csv_lines(shown if self._rows else [shown]).encode()
        return answered(request, response, body, CSV)
