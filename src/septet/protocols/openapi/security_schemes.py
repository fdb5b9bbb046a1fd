"""How OpenAPI says that a request must have an API key."""

from collections.abc import Collection
from typing import Final

from septet.protocols.openapi.schema_nodes import Node

_SCHEMES: Final[Node] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key as `Authorization: Bearer KEY`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The key as `X-API-Key: KEY`."},
}
_REFUSALS: Final = {"401": "The request has no API key that is good.", "429": "The API key has asked too often."}
_NATIVE: Final[Node] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def with_keys(document: Node, open_paths: Collection[str]) -> Node:
    """The document of a server that asks for keys on all but the open paths."""
    paths: Node = {}
    for path, operations in document["paths"].items():
        found = paths[path] = {}
        for method, operation in operations.items():
            if path in open_paths:
                found[method] = {**operation, "security": []}
            else:
                found[method] = {**operation, "responses": _refusing(operation["responses"])}
    components = {**document["components"], "securitySchemes": _SCHEMES}
    security: list[Node] = [{name: []} for name in _SCHEMES]
    return {**document, "paths": paths, "components": components, "security": security}


def _refusing(responses: Node) -> Node:
    """The responses with those to a request without a key, in the form of the others of the same protocol."""
    content = responses.get("400", {}).get("content", _NATIVE)
    more = {status: {"description": text, "content": content} for status, text in _REFUSALS.items()}
    return dict(sorted({**more, **responses}.items()))
