"""OpenAPI 3.1 of this very model: what `/openapi.json` says, derived from the signature."""

from typing import Any

import msgspec

from septet.model.signature import DTYPES, Kind, Signature
from septet.protocols.codecs import examples
from septet.protocols.codecs.prediction_format import MAX_TOP
from septet.protocols.mlflow import scoring_openapi as scoring
from septet.protocols.openapi import json_schema, openapi_responses
from septet.protocols.openapi.operations import Node, get, operation
from septet.protocols.openinference import infer_openapi as openinference
from septet.service import Service
from septet.settings import Limits
from septet.types import Tensors

ROW_FACES = {"data": "rows over the columns, in order", "records": "rows by column name", "inputs": "named tensors"}


class _Source(msgspec.Struct, frozen=True):
    """What the document is derived from."""

    service: Service
    limits: Limits

    @property
    def signature(self) -> Signature:
        return self.service.signature


def openapi(service: Service, *, limits: Limits, root_path: str = "") -> Node:
    """Describe a service's routes; `root_path` is the prefix that a server in front of it has taken off."""
    source = _Source(service, limits)
    identity = service.identity
    return {
        "openapi": "3.1.0",
        "info": {
            "title": identity.name,
            "version": identity.version,
            "description": _description(service),
        },
        "servers": [{"url": root_path or "/"}],
        "tags": [{"name": name} for name in ("predict", "model", "health", "protocols", "documents")],
        "paths": {
            **_predict_paths(source),
            **_model_paths(source),
            **_health_paths(),
            **openinference.paths(service),
            **scoring.paths(service),
            **_document_paths(),
        },
        "components": _components(source),
    }


def _description(service: Service) -> str:
    said = service.manifest.description
    text = f"Kind: {service.signature.kind}. Digest: {service.identity.digest}."
    return f"{said.rstrip()}\n\n{text}" if said else text


def _components(source: _Source) -> Node:
    signature = source.signature
    columns = signature.columns
    bodies = json_schema.bodies(signature, source.limits)
    return {
        "schemas": {
            **{_body_name(face): schema for face, schema in bodies.items()},
            **json_schema.named(signature),
            "Prediction": openapi_responses.body(json_schema.prediction(signature)),
            **({"Labels": openapi_responses.body(_label_schema(signature))} if examples.has_labels(signature) else {}),
            **openapi_responses.schemas(),
            **openinference.schemas(signature, source.limits),
            **scoring.schemas(signature, source.limits),
        },
        "headers": openapi_responses.HEADERS,
        "responses": openapi_responses.error_replies(columns[0].name if columns else None),
        "parameters": {
            "RequestId": {
                "name": "x-request-id",
                "in": "header",
                "required": False,
                "description": "Names this request in its answer and in the log.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
            }
        },
    }


def _body_name(face: str) -> str:
    return f"{face.capitalize()}Body"


def _label_schema(signature: Signature) -> Node:
    if not _top(signature):
        return json_schema.label(signature)
    return {"anyOf": [json_schema.label(signature), json_schema.ranked(signature)]}


def _request(source: _Source) -> Node:
    """Write the body of the predicting routes: one media type for each way to write rows."""
    signature, sample = source.signature, source.service.sample
    faces = list(json_schema.bodies(signature, source.limits))
    schemas = [{"$ref": f"#/components/schemas/{_body_name(face)}"} for face in faces]
    content: Node = {"application/json": {"schema": {"oneOf": schemas}, **_json_examples(signature, sample, faces)}}
    if examples.has_records(signature):
        text = None if sample is None else examples.csv_text(signature, sample)
        content["text/csv"] = {"schema": {"type": "string"}, **({} if text is None else {"example": text})}
    if _is_one_matrix(signature):
        for media in ("application/octet-stream", "application/x-npy"):
            content[media] = {"schema": {"type": "string", "format": "binary"}}
    return {"required": True, "description": _request_text(source, faces), "content": content}


def _json_examples(signature: Signature, sample: Tensors | None, faces: list[str]) -> Node:
    if sample is None:
        return {}
    write = {"data": examples.data, "records": examples.records, "inputs": examples.inputs}
    values = {face: {face: write[face](signature, sample)} for face in faces}
    return {"examples": {face: {"summary": ROW_FACES[face], "value": value} for face, value in values.items()}}


def _is_one_matrix(signature: Signature) -> bool:
    dtypes = {tensor.dtype for tensor in signature.inputs} if signature.columns else set()
    return signature.rows and len(dtypes) == 1 and DTYPES[dtypes.pop()].kind in "iuf"


def _request_text(source: _Source, faces: list[str]) -> str:
    ways = "; ".join(f"`{face}`: {ROW_FACES[face]}" for face in faces)
    rows = f" At most {source.limits.max_rows} rows." if source.signature.rows else ""
    media = ""
    if examples.has_records(source.signature):
        media += " CSV needs a header row of column names."
    if _is_one_matrix(source.signature):
        media += " Binary bodies are one .npy array of two dimensions, rows by columns."
    return f"JSON with one of {ways}.{rows}{media} At most {source.limits.max_body_bytes} bytes."


def _predict_paths(source: _Source) -> Node:
    read, run = (
        openapi_responses.errors(openapi_responses.READING),
        openapi_responses.errors((*openapi_responses.PREDICTING, "not_found")),
    )
    rows, labels, request = _scored(source), _labelled(source), {"requestBody": _request(source)}
    top = _top(source.signature)
    return {
        "/predict": operation("post", "predict", "Predict rows", {**rows, **read}, **request),
        "/predict/label": operation(
            "post", "predict_label", "Predict the labels of rows", {**labels, **read}, parameters=top, **request
        ),
        "/predict/test": operation("get", "predict_test", "Predict the sample, check the answer", {**rows, **run}),
        "/predict/test/label": operation(
            "get", "predict_test_label", "Predict the label of the sample", {**labels, **run}
        ),
    }


def _scored(source: _Source) -> Node:
    answer = source.service.answer
    return _predicted(source, "Prediction", None if answer is None else examples.prediction(source.signature, answer))


def _labelled(source: _Source) -> Node:
    """Write the answers of the routes of labels; where the model has none, their only answer is 404."""
    if not examples.has_labels(source.signature):
        return openapi_responses.errors(("not_found",))
    answer = source.service.answer
    return _predicted(source, "Labels", None if answer is None else examples.labels(source.signature, answer))


def _predicted(source: _Source, name: str, prediction: Any) -> Node:
    schema = {"$ref": f"#/components/schemas/{name}"}
    body = openapi_responses.example(prediction, source.service.identity)
    return {"200": openapi_responses.reply(schema, body, text="One prediction per row.")}


def _top(signature: Signature) -> list[Node]:
    if signature.kind is not Kind.CLASSIFICATION or signature.scores is None or not signature.rows:
        return []
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_TOP}
    text = "Answer each row with its best labels and their scores, this many, best first."
    return [{"name": "top", "in": "query", "required": False, "description": text, "schema": schema}]


def _model_paths(source: _Source) -> Node:
    labels = {str(index): label for index, label in enumerate(source.signature.labels)}
    label = {"type": "object", "additionalProperties": {"type": "string"}}
    found = {"200": openapi_responses.reply(label, labels)} if labels else openapi_responses.errors(("not_found",))
    return {
        "/metadata": get("metadata", "Describe the model", {"200": openapi_responses.reply({"type": "object"})}),
        "/label": get("label", "List the labels", found),
    }


def _health_paths() -> Node:
    state = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    health = {"type": "object", "properties": {"health": {"const": "ok"}}, "required": ["health"]}
    checks = {"live": "Is the process alive?", "ready": "Can it answer now?", "startup": "Has it started?"}
    paths = {"/health": get("health", "Say ok", {"200": openapi_responses.reply(health, {"health": "ok"})})}
    for name, question in checks.items():
        paths[f"/health/{name}"] = get(f"health_{name}", question, {"200": openapi_responses.reply(state, text="Yes.")})
    return paths


def _document_paths() -> Node:
    text = {"type": "string"}
    page = {"200": openapi_responses.reply(text, text="A page.", media="text/html")}
    return {
        "/": get("root", "Try the model out", page),
        "/docs": get("docs", "Try the model out", page),
        "/openapi.json": get("openapi", "Read this document", {"200": openapi_responses.reply({"type": "object"})}),
        "/metrics": get("metrics", "Read the metrics", {"200": openapi_responses.reply(text, media="text/plain")}),
    }
