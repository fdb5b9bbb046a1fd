"""What OpenAPI says of `/v1`, `/invocations` and `/ping`, derived from the signature."""

from typing import Any, TypeAlias
from urllib.parse import quote

from septet.model.signature import Kind, Signature
from septet.protocols.codecs import examples
from septet.protocols.mlflow.predicted import predicted, targets_of
from septet.protocols.openapi import json_schema, openapi_responses
from septet.protocols.openapi.operations import foreign_errors, get, operation
from septet.protocols.tfserving.signature_def import DEFAULT
from septet.service import Service
from septet.settings import Limits
from septet.types import Tensors

Node: TypeAlias = dict[str, Any]


def paths(service: Service) -> Node:
    """Write the operations; the model's paths are given without its version."""
    signature = service.signature
    model = f"/v1/models/{quote(service.identity.name)}"
    state = {"type": "object", "required": ["model_version_status", "name", "ready"]}
    described = {"type": "object", "required": ["model_spec", "metadata"]}
    return {
        "/v1/models": _get("v1_models", "List the models", {"type": "object", "required": ["models"]}),
        model: _get("v1_status", "Can the model answer now?", state),
        f"{model}/metadata": _get("v1_metadata", "Describe the model", described),
        f"{model}:predict": operation(
            "post",
            "v1_predict",
            "Predict rows or tensors",
            {"200": openapi_responses.reply(_v1_answer(signature)), **foreign_errors("PlainError")},
            requestBody={
                "required": True,
                "description": "As TensorFlow Serving and KServe read it: `instances` by row, `inputs` by tensor.",
                "content": {"application/json": _v1_body(service)},
            },
        ),
        "/invocations": operation(
            "post",
            "invocations",
            "Predict as MLflow and SageMaker do",
            {"200": _invoked(service), **foreign_errors("CodedError")},
            requestBody={
                "required": True,
                "description": "As MLflow reads it. CSV may come without a header row.",
                "content": _invocation_bodies(service),
            },
        ),
        "/ping": get("ping", "Can it answer now?", {"200": openapi_responses.reply({"type": "object"}, text="Yes.")}),
    }


def _get(name: str, summary: str, schema: Node) -> Node:
    return get(name, summary, {**foreign_errors("PlainError"), "200": openapi_responses.reply(schema)})


def schemas(signature: Signature, limits: Limits) -> dict[str, Node]:
    """Write the schemas that these operations refer to by name."""
    text = {"type": "string"}
    faces = json_schema.bodies(signature, limits)
    found = {
        "Tensors": _by_tensor(signature),
        "PlainError": _object({"error": text}),
        "CodedError": _object({"error_code": text, "message": text}),
    }
    instances = _by_row(signature, faces, limits)
    if instances:
        found["Instances"] = {"anyOf": instances}
    if examples.has_records(signature):
        # Whatever else stands in a record is passed over.
        found["FrameRecord"] = {**json_schema.named(signature)["Record"], "additionalProperties": True}
        batch = {"type": "array", "minItems": 1, "maxItems": limits.max_rows}
        found["FrameRecords"] = {**batch, "items": _ref("FrameRecord")}
        found["FrameInstances"] = {"anyOf": [*instances, _ref("FrameRecords")]}
        found["FrameTensors"] = {"anyOf": [_ref("Tensors"), _named_columns(signature, faces)]}
        names = [column.name for column in signature.columns]
        frame = {
            "columns": {"enum": [names, None], "description": "In any order. Others beside them are passed over."},
            "data": _face("data"),
            "index": {"type": ["array", "null"], "description": "Not read."},
        }
        found["Frame"] = _object(frame, ["data"])
    return found


def _face(name: str, *inside: str) -> Node:
    """Refer to what stands under a key of a native body, or to a part of it."""
    steps = [quote(step.replace("~", "~0").replace("/", "~1"), safe="") for step in inside]
    return _ref("/".join([f"{name.capitalize()}Body/properties/{name}", *steps]))


def _by_tensor(signature: Signature) -> Node:
    if len(signature.inputs) > 1:
        return _face("inputs")
    return {"anyOf": [_face("inputs"), _face("inputs", "properties", signature.inputs[0].name)]}


def _named_columns(signature: Signature, faces: dict[str, Node]) -> Node:
    """Write `inputs` by tensor, beside which a caller may send columns that the model does not have."""
    inputs: Node = faces["inputs"]["properties"]["inputs"]
    of_columns = len(signature.inputs) > 1
    return {**inputs, "additionalProperties": of_columns}


def _by_row(signature: Signature, faces: dict[str, Node], limits: Limits) -> list[Node]:
    """Write each way to have `instances`; none where a request is one unit."""
    ways = [_face(face) for face in ("data", "records") if face in faces]
    if signature.rows:
        tensors = faces["inputs"]["properties"]["inputs"]["properties"]
        row = _object({name: _row_of(tensor) for name, tensor in tensors.items()})
        ways.append({"type": "array", "minItems": 1, "maxItems": limits.max_rows, "items": row})
    return ways


def _row_of(tensor: Node) -> Node:
    if "anyOf" in tensor:
        return {"anyOf": [way["items"] for way in tensor["anyOf"]]}
    return tensor["items"]  # type: ignore[no-any-return]


def _v1_body(service: Service) -> Node:
    return _bodies(service, _tensor_forms(service.signature), {"signature_name": {"enum": [DEFAULT, "", None]}})


def _invocation_bodies(service: Service) -> Node:
    signature, sample = service.signature, service.sample
    forms: dict[str, Node] = {}
    if examples.has_records(signature):
        forms = {"dataframe_split": _ref("Frame"), "dataframe_records": _ref("FrameRecords")}
        forms |= {"instances": _ref("FrameInstances"), "inputs": _ref("FrameTensors")}
    else:
        forms |= _tensor_forms(signature)
    content: Node = {"application/json": _bodies(service, forms, {"params": {"type": ["object", "null"]}})}
    if examples.has_records(signature):
        text = None if sample is None else examples.csv_text(signature, sample)
        content["text/csv"] = {"schema": {"type": "string"}, **({} if text is None else {"example": text})}
    return content


def _tensor_forms(signature: Signature) -> dict[str, Node]:
    return {**({"instances": _ref("Instances")} if signature.rows else {}), "inputs": _ref("Tensors")}


def _bodies(service: Service, forms: dict[str, Node], options: dict[str, Node]) -> Node:
    schema = {"oneOf": [_object({form: value, **options}, [form]) for form, value in forms.items()]}
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


def _v1_answer(signature: Signature) -> Node:
    rows, tensors = json_schema.raw_rows(signature), json_schema.raw_tensors(signature)
    return {"oneOf": [_object({"predictions": rows}), _object({"outputs": tensors})]}


def _invoked(service: Service) -> Node:
    signature = service.signature
    outputs = predicted(signature, service.manifest).shown
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
    reply = openapi_responses.reply(_object({"predictions": shown}), text="One prediction per row.")
    reply["content"]["text/csv"] = {"schema": {"type": "string"}}
    return reply


def _rows(row: Node) -> Node:
    return {
        "type": "array",
        "items": row,
        "description": "What predict() of the model gives, in the order of the rows.",
    }


def _ref(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Node], required: list[str] | None = None) -> Node:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
