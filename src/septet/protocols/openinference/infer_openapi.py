"""The OpenAPI description of `/v2`, derived from the signature."""

from septet.model.signature import Signature, Tensor
from septet.model.values import is_optional
from septet.protocols.codecs.examples import values
from septet.protocols.http.routes import OperationContext
from septet.protocols.openapi import json_schema, openapi_responses
from septet.protocols.openapi.operations import answering_json, foreign_errors
from septet.protocols.openapi.schema_nodes import Node, closed, ref
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.openinference.infer_schema import protocol_shape
from septet.service import Service
from septet.settings import Limits
from septet.types import Tensors

_TEXT: Node = {"type": "string"}


def _any(required: list[str]) -> Node:
    return {"type": "object", "required": required}


v2 = answering_json(_any(["name", "version", "extensions"]))
v2_model = answering_json(_any(["name", "platform", "inputs", "outputs"]))
v2_model_ready = answering_json(_any(["name", "ready"]))
v2_config = answering_json(_any(["name", "max_batch_size"]))
v2_stats = answering_json(_any(["model_stats"]))
v2_all_stats = v2_stats
v2_index = answering_json({"type": "array", "items": _any(["name"])}, text="The models.")


def v2_infer(described: OperationContext) -> Node:
    """Describe `POST /v2/models/{model}/infer`."""
    service = described.service
    return {
        "requestBody": {
            "required": True,
            "description": (
                "As the Open Inference Protocol has it; `data` flat or nested, as long as `shape` says. Behind the "
                "JSON, raw tensors may follow: see the extension `binary_tensor_data`. The parameter `missing` of "
                "an input of BYTES lists the places of its missing texts, such as `0,4`."
            ),
            "content": {"application/json": _body(service)},
        },
        "responses": {
            "200": openapi_responses.reply(_answer(service), text="The outputs."),
            **foreign_errors("PlainError"),
        },
    }


def schemas(signature: Signature, limits: Limits) -> Node:
    """Write the schemas that these operations refer to by name."""
    inputs = [_input(tensor, limits, rows=signature.rows) for tensor in signature.inputs]
    names = [tensor.name for tensor in signature.outputs]
    parameters = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "boolean"]}}
    output = {
        "type": "object",
        "properties": {"name": {"enum": names}, "parameters": ref("Parameters")},
        "required": ["name"],
    }
    return {
        "Parameters": parameters,
        "InferenceRequest": {
            "type": "object",
            "properties": {
                "id": {"type": ["string", "null"]},
                "parameters": ref("Parameters"),
                "inputs": {
                    "type": "array",
                    "items": inputs[0] if len(inputs) == 1 else {"oneOf": inputs},
                    "minItems": max(1, sum(not (signature.rows and is_optional(each)) for each in signature.inputs)),
                    "maxItems": len(inputs),
                },
                "outputs": {"type": ["array", "null"], "items": output, "maxItems": len(names)},
            },
            "required": ["inputs"],
        },
    }


def _body(service: Service) -> Node:
    schema = ref("InferenceRequest")
    if service.sample is None:
        return {"schema": schema}
    return {"schema": schema, "example": _example(service.signature, service.sample)}


def _example(signature: Signature, sample: Tensors) -> Node:
    inputs = []
    for tensor in signature.inputs:
        array = sample[tensor.name]
        data = values(tensor, array.ravel())
        inputs.append(
            {"name": tensor.name, "shape": list(array.shape), "datatype": DATATYPES[tensor.dtype], "data": data}
        )
    return {"inputs": inputs}


def _input(tensor: Tensor, limits: Limits, *, rows: bool) -> Node:
    shape = [_size(size) for size in protocol_shape(tensor)]
    if rows:
        shape[0] = {"type": "integer", "minimum": 1, "maximum": limits.max_rows}
    cell = json_schema.cell(tensor)
    deep: Node = cell
    for _ in tensor.shape[1:]:
        deep = {"type": "array", "items": deep}
    flat = {"type": "array", "items": cell}
    ways = [flat, {"type": "array", "items": deep}] if len(tensor.shape) > 1 else [flat]
    return {
        "type": "object",
        "properties": {
            "name": {"const": tensor.name},
            "datatype": {"const": DATATYPES[tensor.dtype]},
            "shape": {
                "type": "array",
                **({"prefixItems": shape} if shape else {}),
                "minItems": len(shape),
                "maxItems": len(shape),
            },
            "data": ways[0]
            if len(ways) == 1 and tensor.shape
            else {"anyOf": [*ways, *([] if tensor.shape else [cell])]},
            "parameters": ref("Parameters"),
        },
        "required": ["name", "datatype", "shape", "data"],
    }


def _size(size: int) -> Node:
    return {"type": "integer", "minimum": 0} if size < 0 else {"const": size}


def _answer(service: Service) -> Node:
    outputs = [
        closed(
            {
                "name": {"const": tensor.name},
                "datatype": {"enum": [DATATYPES[tensor.dtype], "BYTES"]},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "data": {"type": "array"},
                **({"parameters": closed({"content_type": {"const": "base64"}})} if tensor.dtype == "bytes" else {}),
            }
        )
        for tensor in service.signature.outputs
    ]
    identity = {"model_name": {"const": service.identity.name}, "model_version": {"const": service.identity.version}}
    found = closed({**identity, "outputs": {"type": "array", "items": {"oneOf": outputs}, "minItems": 1}})
    return {**found, "properties": {**found["properties"], "id": _TEXT}}
