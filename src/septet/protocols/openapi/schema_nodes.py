"""The parts of a JSON Schema that the documents of all protocols are written with."""

from typing import Any, TypeAlias

#: A part of the OpenAPI document, as JSON has it.
Node: TypeAlias = dict[str, Any]


def ref(name: str) -> Node:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Node, required: list[str] | None = None) -> Node:
    """Describe an object with these properties and no others; all are required, unless `required` names some."""
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
