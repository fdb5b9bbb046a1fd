"""OpenAPI 3.1 of the served models: the body of `/openapi.json`, made from the declared routes and the signatures."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from septet.protocols.http.routes import DocumentedRoute, OperationContext
from septet.protocols.mlflow import invocations_openapi
from septet.protocols.native import native_openapi
from septet.protocols.openapi import openapi_responses, row_forms
from septet.protocols.openapi.operations import written
from septet.protocols.openapi.schema_nodes import Node
from septet.protocols.openapi.security_schemes import with_keys
from septet.protocols.openinference import infer_openapi
from septet.service import Service
from septet.settings import Limits

TAGS = ("predict", "jobs", "model", "health", "protocols", "documents")
#: A sample stands in a dozen examples.
MOST_SAMPLE_BYTES: Final = 16_384
_SCHEMA = "#/components/schemas/"


def openapi(
    operated: Iterable[DocumentedRoute],
    services: Sequence[Service],
    *,
    limits: Limits,
    root_path: str = "",
    open_paths: Collection[str] | None = None,
) -> Node:
    """Describe the routes of a server; `root_path` is the prefix that a server in front of it has taken off.

    `open_paths` are those that need no API key; None where none does.
    """
    several, operated = len(services) > 1, list(operated)
    used = {route.operation.tag for _, route, _ in operated if route.operation is not None}
    shared = openapi_responses.schemas()
    components: Node = {**shared, **row_forms.error_schemas()}
    for service in services:
        own = _schemas(service, limits)
        components |= _renamed(own, own, _key(service)) if several else own
    document = {
        "openapi": "3.1.0",
        "info": _info(services),
        "servers": [{"url": root_path or "/"}],
        "tags": [{"name": name} for name in TAGS if name in used],
        "paths": _paths(operated, services, limits),
        "components": {
            "schemas": components,
            "headers": openapi_responses.HEADERS,
            "responses": openapi_responses.error_replies(_column(services)),
            "parameters": {
                "RequestId": {
                    "name": "x-request-id",
                    "in": "header",
                    "required": False,
                    "description": "Names this request in its answer and in the log.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
                }
            },
        },
    }
    return document if open_paths is None else with_keys(document, open_paths)


def _info(services: Sequence[Service]) -> Node:
    if len(services) == 1:
        (service,) = services
        identity = service.identity
        return {"title": identity.name, "version": identity.version, "description": _description(service)}
    lines = [f"- {each.identity.name}, version {each.identity.version}. {_description(each)}" for each in services]
    return {"title": f"Septet, {len(services)} models", "version": "1", "description": "\n".join(lines)}


def _description(service: Service) -> str:
    description = service.manifest.description
    text = f"Kind: {service.signature.kind}. Digest: {service.identity.digest}."
    return f"{description.rstrip()}\n\n{text}" if description else text


def _column(services: Sequence[Service]) -> str | None:
    """A column that an example may name."""
    columns = services[0].signature.columns
    return columns[0].name if columns else None


def _paths(operated: Iterable[DocumentedRoute], services: Sequence[Service], limits: Limits) -> Node:
    """Each tag's operations together, in the order in which they are declared."""
    found: dict[str, Node] = {}
    several = len(services) > 1
    described = [each for each in operated if each[1].operation is not None]
    for path, route, model in sorted(described, key=_place):
        operation = route.operation
        assert operation is not None  # noqa: S101 - those without are left out above
        of = services if model is None else (model.service,)
        node = written(operation, OperationContext([_with_short_sample(each) for each in of], limits))
        if several and model is not None:
            key = _key(model.service)
            node = _renamed(node, _schemas(model.service, limits), key)
            node["operationId"] = f"{operation.name}_{key}"
        found.setdefault(path, {})[route.method.lower()] = node
    return found


def _with_short_sample(service: Service) -> Service:
    """The service without a sample whose bytes are too long to stand in every example."""
    arrays = () if service.sample is None else service.sample.values()
    values = [value for array in arrays if array.dtype == object for value in array.ravel().tolist()]
    size = sum(len(value) for value in values if isinstance(value, bytes))
    return service if size <= MOST_SAMPLE_BYTES else msgspec.structs.replace(service, sample=None)


def _place(operated: DocumentedRoute) -> int:
    operation = operated[1].operation
    return len(TAGS) if operation is None else TAGS.index(operation.tag)


def _schemas(service: Service, limits: Limits) -> Node:
    """The schemas of one model."""
    signature = service.signature
    return {
        **native_openapi.schemas(signature, limits),
        **infer_openapi.schemas(signature, limits),
        **row_forms.schemas(signature, limits),
        **invocations_openapi.schemas(signature, limits),
    }


def _key(service: Service) -> str:
    """What stands before the names of a model's schemas: its name, in the characters that OpenAPI has for them."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", service.identity.name)


def _renamed(node: Any, own: Node, model: str) -> Any:
    """A part of the document in which the schemas of one model have its name before their own."""
    if isinstance(node, list):
        return [_renamed(each, own, model) for each in node]
    if not isinstance(node, dict):
        return node
    found = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str) and value.removeprefix(_SCHEMA).partition("/")[0] in own:
            found[key] = f"{_SCHEMA}{model}.{value.removeprefix(_SCHEMA)}"
        else:
            found[f"{model}.{key}" if node is own else key] = _renamed(value, own, model)
    return found
