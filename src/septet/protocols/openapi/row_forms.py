"""The forms of rows and tensors that the protocols of TensorFlow Serving and MLflow share, as OpenAPI has them."""

from typing import Any
from urllib.parse import quote

from septet.model.signature import Signature
from septet.protocols.codecs import examples
from septet.protocols.openapi import json_schema
from septet.protocols.openapi.schema_nodes import Node, closed, ref
from septet.service import Service
from septet.settings import Limits
from septet.types import Tensors


def error_schemas() -> Node:
    """Write the schemas of the errors of other people's protocols."""
    text = {"type": "string"}
    return {"PlainError": closed({"error": text}), "CodedError": closed({"error_code": text, "message": text})}


def schemas(signature: Signature, limits: Limits) -> Node:
    """Write the schemas of `inputs` and `instances`."""
    found: Node = {"Tensors": _by_tensor(signature)}
    instances = by_row(signature, json_schema.bodies(signature, limits), limits)
    return {**found, "Instances": {"anyOf": instances}} if instances else found


def form_ref(name: str, *inside: str) -> Node:
    """Refer to what stands under a key of a native body, or to a part of it."""
    steps = [quote(step.replace("~", "~0").replace("/", "~1"), safe="") for step in inside]
    return ref("/".join([f"{name.capitalize()}Body/properties/{name}", *steps]))


def _by_tensor(signature: Signature) -> Node:
    if len(signature.inputs) > 1:
        return form_ref("inputs")
    return {"anyOf": [form_ref("inputs"), form_ref("inputs", "properties", signature.inputs[0].name)]}


def named_columns(signature: Signature, forms: dict[str, Node]) -> Node:
    """Write `inputs` by tensor, beside which a caller may send columns that the model does not have."""
    inputs: Node = forms["inputs"]["properties"]["inputs"]
    of_columns = len(signature.inputs) > 1
    return {**inputs, "additionalProperties": of_columns}


def by_row(signature: Signature, forms: dict[str, Node], limits: Limits) -> list[Node]:
    """Write each way to have `instances`; none where a request is one unit."""
    ways = [form_ref(name) for name in ("data", "records") if name in forms]
    if signature.rows:
        tensors = forms["inputs"]["properties"]["inputs"]["properties"]
        row = closed({name: _row_of(tensor) for name, tensor in tensors.items()})
        ways.append({"type": "array", "minItems": 1, "maxItems": limits.max_rows, "items": row})
    return ways


def _row_of(tensor: Node) -> Node:
    if "anyOf" in tensor:
        return {"anyOf": [way["items"] for way in tensor["anyOf"]]}
    return tensor["items"]  # type: ignore[no-any-return]


def tensor_forms(signature: Signature) -> dict[str, Node]:
    """Write the keys that hold rows or tensors."""
    return {**({"instances": ref("Instances")} if signature.rows else {}), "inputs": ref("Tensors")}


def bodies(service: Service, forms: dict[str, Node], options: dict[str, Node]) -> Node:
    """Write a body that has one of `forms`, and beside it what `options` says."""
    schema = {"oneOf": [closed({form: value, **options}, [form]) for form, value in forms.items()]}
    if service.sample is None:
        return {"schema": schema}
    values = _examples(service.signature, service.sample)
    return {"schema": schema, "examples": {form: {"value": {form: values[form]}} for form in forms}}


def _examples(signature: Signature, sample: Tensors) -> dict[str, Any]:
    tensors = examples.inputs(signature, sample)
    rows = examples.data(signature, sample)
    if rows is None and signature.rows:
        rows = [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]
    frame = {"columns": [column.name for column in signature.columns], "data": rows}
    return {
        "instances": rows,
        "inputs": tensors,
        "dataframe_split": frame,
        "dataframe_records": examples.records(signature, sample),
    }
