"""The OpenAPI description of `/invocations`, derived from the signature."""

from septet.model.signature import Kind, Signature
from septet.protocols.codecs import examples
from septet.protocols.http.routes import OperationContext
from septet.protocols.mlflow.predict_output import predict_output, targets_of
from septet.protocols.openapi import json_schema, openapi_responses, row_forms
from septet.protocols.openapi.body_content import body_content
from septet.protocols.openapi.operations import foreign_errors
from septet.protocols.openapi.row_forms import bodies, by_row, named_columns, tensor_forms
from septet.protocols.openapi.schema_nodes import Node, closed, ref
from septet.service import Service
from septet.settings import Limits


def invocations(described: OperationContext) -> Node:
    """Describe `POST /invocations`."""
    return {
        "requestBody": {
            "required": True,
            "description": "As MLflow reads it. CSV may come without a header row.",
            "content": _invocation_bodies(described.service),
        },
        "responses": {"200": _invoked(described.service), **foreign_errors("CodedError")},
    }


def schemas(signature: Signature, limits: Limits) -> Node:
    """Write the schemas of frames."""
    if not examples.has_records(signature):
        return {}
    forms = json_schema.bodies(signature, limits)
    # Whatever else stands in a record is passed over.
    record = {**json_schema.named(signature)["Record"], "additionalProperties": True}
    batch = {"type": "array", "minItems": 1, "maxItems": limits.max_rows}
    names = [column.name for column in signature.columns]
    frame = {
        "columns": {"enum": [names, None], "description": "In any order. Others beside them are passed over."},
        "data": row_forms.form_ref("data"),
        "index": {"type": ["array", "null"], "description": "Not read."},
    }
    return {
        "FrameRecord": record,
        "FrameRecords": {**batch, "items": ref("FrameRecord")},
        "FrameInstances": {"anyOf": [*by_row(signature, forms, limits), ref("FrameRecords")]},
        "FrameTensors": {"anyOf": [ref("Tensors"), named_columns(signature, forms)]},
        "Frame": closed(frame, ["data"]),
    }


def _invocation_bodies(service: Service) -> Node:
    signature = service.signature
    forms: dict[str, Node] = {}
    if examples.has_records(signature):
        forms = {"dataframe_split": ref("Frame"), "dataframe_records": ref("FrameRecords")}
        forms |= {"instances": ref("FrameInstances"), "inputs": ref("FrameTensors")}
    else:
        forms |= tensor_forms(signature)
    json = bodies(service, forms, {"params": {"type": ["object", "null"]}})
    return body_content(signature, service.sample, json)


def _invoked(service: Service) -> Node:
    signature = service.signature
    outputs = predict_output(signature, service.manifest).shown
    if targets_of(signature):
        row = [json_schema.output(each) for each in outputs]
        shown = _rows({"type": "array", "prefixItems": row, "minItems": len(row), "maxItems": len(row)})
    elif len(outputs) == 1 and signature.rows:
        (output,) = outputs
        classes = list(signature.classes or (signature.labels if output.dtype == "string" else ()))
        named = signature.kind is Kind.CLASSIFICATION and classes and len(output.shape) == 1
        shown = _rows({"enum": classes} if named else json_schema.output(output))
    else:
        shown = json_schema.prediction(signature) if outputs else json_schema.label(signature)
    reply = openapi_responses.reply(closed({"predictions": shown}), text="One prediction per row.")
    reply["content"]["text/csv"] = {"schema": {"type": "string"}}
    return reply


def _rows(row: Node) -> Node:
    return {
        "type": "array",
        "items": row,
        "description": "What predict() of the model gives, in the order of the rows.",
    }
