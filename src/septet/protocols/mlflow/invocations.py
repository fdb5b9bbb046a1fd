"""`/invocations`: what MLflow's scoring server answers, and what SageMaker asks of a container.

An answer is what `predict()` of the model itself gives, because that is what MLflow serves; see
`septet.protocols.mlflow.predict_output`. Columns that the model does not have are passed over, as MLflow does.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from septet.errors import UnsupportedMediaType
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
from septet.protocols.codecs.rows_document import (
    INPUTS,
    INSTANCES,
    RECORDS,
    SPLIT,
    OptionalKey,
    RowsDocument,
    RowsFormat,
)
from septet.protocols.http.http_messages import HttpReply, HttpRequest, media_parameters, shown
from septet.protocols.http.request_factory import RequestFactory, answered
from septet.protocols.http.routes import Encode, Operation, predicts
from septet.protocols.mlflow.csv_predictions import CSV, csv_lines, prefers_csv
from septet.protocols.mlflow.predict_output import predict_output
from septet.registry import ServedModel
from septet.types import Request, Response

if TYPE_CHECKING:
    from septet.protocols.codecs.csv_body import CsvBody

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
        rows = limits.max_rows
        readers: dict[BodyFormat, Callable[[], Callable[[HttpRequest], DecodedBody]]] = {
            JSON_ROWS: lambda: partial(
                _of_json, RowsDocument(signature, BODY_FORMAT, max_rows=rows, extra_columns="ignore")
            ),
            CSV_ROWS: lambda: partial(_of_csv, csv_reader(signature, max_rows=rows, extra_columns="ignore")),
            NPY_ARRAY: lambda: partial(_of_bytes, npy_reader(signature, max_rows=rows)),
            ONE_VALUE: lambda: partial(_of_bytes, value_reader(signature)),
        }
        self._readers = BodyReaders(signature, readers)
        self._wanted, _, self._shown = predict_output(signature, request_factory.service.manifest)
        self._rows = signature.rows

    @predicts(
        "/invocations",
        operation=Operation(
            "invocations",
            "Predict as MLflow and SageMaker do",
            "protocols",
            "septet.protocols.mlflow.invocations_openapi",
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
        charset = media_parameters(http.headers).get(b"charset", b"utf-8")
        if charset not in (b"utf-8", b"utf8"):
            raise UnsupportedMediaType(f"The charset {shown(charset)} is not read; send UTF-8.")
        return self._readers.find(kind)(http)

    def _as_json(self, request: Request, response: Response) -> HttpReply:
        body = b"".join((b'{"predictions":', value_json(self._shown(response.tensors)), b"}"))
        return answered(request, response, body)

    def _as_csv(self, request: Request, response: Response) -> HttpReply:
        """One line per row, without a header; of a model without rows, one line."""
        shown = self._shown(response.tensors)
        body = csv_lines(shown if self._rows else [shown]).encode()
        return answered(request, response, body, CSV)


def _of_json(document: RowsDocument, http: HttpRequest) -> DecodedBody:
    written = media_parameters(http.headers).get(b"format")
    if written is None:
        return document(http.body)[1]
    if written in _FORMATS:
        return document.value(_FORMATS[written], http.body)
    raise UnsupportedMediaType(f"The format {shown(written)} is not read; send 'dataframe_split' as JSON.")


def _of_csv(read: "CsvBody", http: HttpRequest) -> DecodedBody:
    return read(http.body, header=_HEADER.get(media_parameters(http.headers).get(b"header", b"")))


def _of_bytes(read: Callable[[bytes], DecodedBody], http: HttpRequest) -> DecodedBody:
    return read(http.body)
