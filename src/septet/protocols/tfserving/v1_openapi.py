"""What OpenAPI says of `/v1`, derived from the signature."""

from septet.protocols.http.routes import OperationContext
from septet.protocols.openapi import json_schema, openapi_responses, row_forms
from septet.protocols.openapi.operations import answering_json, foreign_errors
from septet.protocols.openapi.schema_nodes import Node, closed
from septet.protocols.tfserving.signature_def import DEFAULT

v1_models = answering_json({"type": "object", "required": ["models"]})
v1_status = answering_json({"type": "object", "required": ["model_version_status", "name", "ready"]})
v1_metadata = answering_json({"type": "object", "required": ["model_spec", "metadata"]})


def v1_predict(described: OperationContext) -> Node:
    """Describe `POST /v1/models/{model}:predict`."""
    signature = described.signature
    rows, tensors = json_schema.raw_rows(signature), json_schema.raw_tensors(signature)
    answer = {"oneOf": [closed({"predictions": rows}), closed({"outputs": tensors})]}
    options = {"signature_name": {"enum": [DEFAULT, "", None]}}
    body = row_forms.bodies(described.service, row_forms.tensor_forms(signature), options)
    return {
        "requestBody": {
            "required": True,
            "description": "As TensorFlow Serving and KServe read it: `instances` by row, `inputs` by tensor.",
            "content": {"application/json": body},
        },
        "responses": {"200": openapi_responses.reply(answer), **foreign_errors("PlainError")},
    }
