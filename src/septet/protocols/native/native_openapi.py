"""What OpenAPI says of the native routes of a model, derived from its signature."""

from typing import Any

from septet.model.signature import Kind, Signature
from septet.protocols.codecs import examples
from septet.protocols.codecs.prediction_format import MAX_TOP
from septet.protocols.http.routes import OperationContext
from septet.protocols.openapi import json_schema, openapi_responses
from septet.protocols.openapi.body_content import body_content, body_texts
from septet.protocols.openapi.operations import answering
from septet.protocols.openapi.schema_nodes import Node, closed
from septet.settings import Limits
from septet.types import Tensors

ROW_FORMS = {"data": "rows over the columns, in order", "records": "rows by column name", "inputs": "named tensors"}


def predict(described: OperationContext) -> Node:
    """Describe `POST /predict`."""
    read = openapi_responses.errors(openapi_responses.READING)
    return {"requestBody": _request(described), "responses": {**_scored(described), **read}}


def predict_label(described: OperationContext) -> Node:
    """Describe `POST /predict/label`."""
    read, top = openapi_responses.errors(openapi_responses.READING), _top(described.signature)
    responses = {**_labelled(described), **read}
    return {"parameters": top, "requestBody": _request(described), "responses": responses}


def predict_test(described: OperationContext) -> Node:
    """Describe `GET /predict/test`."""
    return {"responses": {**_scored(described), **_run_errors()}}


def predict_test_label(described: OperationContext) -> Node:
    """Describe `GET /predict/test/label`."""
    return {"responses": {**_labelled(described), **_run_errors()}}


metadata = answering(openapi_responses.reply({"type": "object"}))


def label(described: OperationContext) -> Node:
    """Describe `GET /label`."""
    labels = {str(index): label for index, label in enumerate(described.signature.labels)}
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    if not labels:
        return {"responses": openapi_responses.errors((*openapi_responses.ALWAYS, "not_found"))}
    return answering(openapi_responses.reply(schema, labels))(described)


def models(described: OperationContext) -> Node:
    """Describe `GET /models`."""
    text: Node = {"type": "string"}
    names: Node = {"name": text, "version": text, "digest": text, "kind": {"enum": [kind.value for kind in Kind]}}
    path = {**text, "description": "Before the paths of this model's routes: `/models/iris` of `/models/iris/predict`."}
    entry: Node = {**names, "description": {"type": ["string", "null"]}, "path": path}
    missing: Node = {
        "type": "object",
        "additionalProperties": text,
        "description": "Why each of the others could not be loaded, by name.",
    }
    listed: Node = {"type": "array", "items": closed(entry)}
    schema = closed({"models": listed, "missing": missing})
    return answering(openapi_responses.reply(schema, text="The models."))(described)


def schemas(signature: Signature, limits: Limits) -> Node:
    """Write the schemas that these operations refer to by name."""
    bodies = json_schema.bodies(signature, limits)
    return {
        **{_body_name(form): schema for form, schema in bodies.items()},
        **json_schema.named(signature),
        "Prediction": openapi_responses.body(json_schema.prediction(signature)),
        **({"Labels": openapi_responses.body(_label_schema(signature))} if examples.has_labels(signature) else {}),
    }


def _run_errors() -> Node:
    return openapi_responses.errors((*openapi_responses.PREDICTING, "not_found"))


def _body_name(form: str) -> str:
    return f"{form.capitalize()}Body"


def _label_schema(signature: Signature) -> Node:
    if not _top(signature):
        return json_schema.label(signature)
    return {"anyOf": [json_schema.label(signature), json_schema.ranked(signature)]}


def _request(described: OperationContext) -> Node:
    """Write the body of the predicting routes: one media type for each way to write rows."""
    signature, sample = described.signature, described.service.sample
    forms = list(json_schema.bodies(signature, described.limits))
    schemas = [{"$ref": f"#/components/schemas/{_body_name(form)}"} for form in forms]
    json: Node = {"schema": {"oneOf": schemas}, **_json_examples(signature, sample, forms)}
    content = body_content(signature, sample, json)
    return {"required": True, "description": _request_text(described, forms), "content": content}


def _json_examples(signature: Signature, sample: Tensors | None, forms: list[str]) -> Node:
    if sample is None:
        return {}
    write = {"data": examples.data, "records": examples.records, "inputs": examples.inputs}
    values = {form: {form: write[form](signature, sample)} for form in forms}
    return {"examples": {form: {"summary": ROW_FORMS[form], "value": value} for form, value in values.items()}}


def _request_text(described: OperationContext, forms: list[str]) -> str:
    ways = "; ".join(f"`{form}`: {ROW_FORMS[form]}" for form in forms)
    rows = f" At most {described.limits.max_rows} rows." if described.signature.rows else ""
    media = body_texts(described.signature)
    return f"JSON with one of {ways}.{rows}{media} At most {described.limits.max_body_bytes} bytes."


def _scored(described: OperationContext) -> Node:
    answer = described.service.answer
    return _predicted(
        described, "Prediction", None if answer is None else examples.prediction(described.signature, answer)
    )


def _labelled(described: OperationContext) -> Node:
    """Write the answers of the routes of labels; where the model has none, their only answer is 404."""
    if not examples.has_labels(described.signature):
        return openapi_responses.errors(("not_found",))
    answer = described.service.answer
    return _predicted(described, "Labels", None if answer is None else examples.labels(described.signature, answer))


def _predicted(described: OperationContext, name: str, prediction: Any) -> Node:
    schema = {"$ref": f"#/components/schemas/{name}"}
    body = openapi_responses.example(prediction, described.service.identity)
    return {"200": openapi_responses.reply(schema, body, text="One prediction per row.")}


def _top(signature: Signature) -> list[Node]:
    if signature.kind is not Kind.CLASSIFICATION or signature.scores is None or not signature.rows:
        return []
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_TOP}
    text = "Answer each row with its best labels and their scores, this many, best first."
    return [{"name": "top", "in": "query", "required": False, "description": text, "schema": schema}]
