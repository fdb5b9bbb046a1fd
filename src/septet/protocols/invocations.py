"""`/invocations`: what MLflow's scoring server answers, and what SageMaker asks of a container.

An answer is what `predict()` of the model itself gives, because that is what MLflow serves: the label of each row for a
classification (as `/predict/label`), 0 or 1 per label for a multilabel one, and else what `/predict` answers.
"""

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import msgspec

from septet.errors import UnsupportedMediaType
from septet.model.signature import Kind, Signature
from septet.protocols.answers import Answers
from septet.protocols.body import Body
from septet.protocols.csv_body import CsvBody
from septet.protocols.dataplane import Dataplane
from septet.protocols.examples import has_labels
from septet.protocols.http import (
    JSON,
    HttpReply,
    HttpRequest,
    media_parameters,
    new_id,
    shown,
)
from septet.protocols.npy_body import NpyBody
from septet.protocols.routes import Encode, Route, Routes
from septet.protocols.scoring.dialect import INPUTS, INSTANCES, RECORDS, SPLIT, Dialect, DialectBody, Option
from septet.types import Request, Response, Tensors

PATH = "/invocations"
CSV = b"text/csv"
DIALECT = Dialect(
    (SPLIT, RECORDS, INSTANCES, INPUTS),
    {"params": Option(dict[str, Any], "an object")},
    '{"dataframe_split": {"columns": [...], "data": [[...]]}}',
)
# How the body of a JSON content type with a `format` is written (MLflow before 2.0): it is the frame itself.
_FORMATS = {b"pandas-split": SPLIT, b"pandas-records": RECORDS}
_HEADER = {b"present": True, b"absent": False}


class Invocations:
    """The route of one service."""

    def __init__(self, dataplane: Dataplane) -> None:
        signature, limits = dataplane.service.signature, dataplane.limits
        self._dataplane = dataplane
        self._json = DialectBody(signature, DIALECT, max_rows=limits.max_rows)
        self._csv = CsvBody(signature, max_rows=limits.max_rows) if signature.columns and signature.rows else None
        self._npy = NpyBody(signature, max_rows=limits.max_rows)
        self._wanted, self._shown = _shown_as(signature)

    def routes(self) -> Routes:
        """The one path."""
        return {PATH: Route(PATH, predict=self.predict)}

    def predict(self, http: HttpRequest) -> tuple[Request, Encode]:
        """`POST /invocations`.

        Raises:
            UnsupportedMediaType: the content type or one of its parameters is not read here.
            Malformed, Invalid: as the codecs.
        """
        caller = http.caller
        body = self._decode(http, caller.media_type)
        request = self._dataplane.request(
            body.tensors, body.rows, caller.id or new_id(), self._wanted, trace=caller.trace
        )
        return request, self._as_csv if _prefers_csv(http.headers.get(b"accept", b"")) else self._as_json

    def _decode(self, http: HttpRequest, kind: bytes) -> Body:
        parameters = media_parameters(http.headers)
        charset = parameters.get(b"charset", b"utf-8")
        if charset not in (b"utf-8", b"utf8"):
            raise UnsupportedMediaType(f"The charset {shown(charset)} is not read; send UTF-8.")
        if kind in (JSON, b""):
            written = parameters.get(b"format")
            if written is None:
                return self._json(http.body)[1]
            if written in _FORMATS:
                return self._json(b'{"%b":%b}' % (_FORMATS[written].encode(), http.body))[1]
            raise UnsupportedMediaType(f"The format {shown(written)} is not read; send 'dataframe_split' as JSON.")
        if kind == CSV and self._csv is not None:
            return self._csv(http.body, header=_HEADER.get(parameters.get(b"header", b"")))
        if kind == b"application/x-npy":
            return self._npy(http.body)
        text = f"The content type {shown(kind)} is not read here. Send application/json or application/x-npy"
        raise UnsupportedMediaType(f"{text}." if self._csv is None else f"{text}, or text/csv.")

    def _as_json(self, request: Request, response: Response) -> HttpReply:
        body = b"".join((b'{"predictions":', msgspec.json.encode(self._shown(response.tensors)), b"}"))
        return HttpReply(200, body, request.id, rows=request.rows, timings=response.timings)

    def _as_csv(self, request: Request, response: Response) -> HttpReply:
        """One line per row, without a header; JSON where a row is more than a list of values."""
        text = _csv_text(self._shown(response.tensors))
        if text is None:
            return self._as_json(request, response)
        return HttpReply(200, text.encode(), request.id, CSV, rows=request.rows, timings=response.timings)


def _shown_as(signature: Signature) -> tuple[tuple[str, ...] | None, Callable[[Tensors], Any]]:
    """The outputs that an answer needs, and how it is shown."""
    answers = Answers(signature)
    name = signature.label
    if signature.kind is Kind.CLASSIFICATION and has_labels(signature):
        return None, answers.labels
    if signature.kind is Kind.MULTILABEL and name is not None:
        return (name,), lambda tensors: tensors[name].tolist()
    return answers.outputs, answers.prediction


def _prefers_csv(accept: bytes) -> bool:
    return accept.partition(b",")[0].partition(b";")[0].strip().lower() == CSV


def _csv_text(predictions: Any) -> str | None:
    if not isinstance(predictions, list):
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in predictions:
        cells = row if isinstance(row, list) else list(row.values()) if isinstance(row, dict) else [row]
        if any(isinstance(cell, list) for cell in cells):
            return None
        writer.writerow(["" if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in cells])
    return text.getvalue()
