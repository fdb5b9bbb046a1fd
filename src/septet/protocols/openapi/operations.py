"""One operation of one path as OpenAPI has it."""

from typing import Any, TypeAlias

from septet.protocols.http.error_bodies import MALFORMED, STATUS
from septet.protocols.openapi import openapi_responses

Node: TypeAlias = dict[str, Any]

# By the first word of an operation's name.
_TAGS = {
    "predict": "predict",
    "health": "health",
    "ping": "health",
    "metadata": "model",
    "label": "model",
    "v1": "protocols",
    "v2": "protocols",
    "invocations": "protocols",
}


def get(name: str, summary: str, answered: Node) -> Node:
    """Write a GET that asks for nothing."""
    return operation("get", name, summary, {**openapi_responses.errors(openapi_responses.ALWAYS), **answered})


def operation(method: str, name: str, summary: str, answered: Node, **more: Any) -> Node:
    """Write an operation; `answered` are its replies by status, `more` its other keys."""
    parameters = [{"$ref": "#/components/parameters/RequestId"}, *more.pop("parameters", [])]
    tag = _TAGS.get(name.partition("_")[0], "documents")
    known = {"tags": [tag], "operationId": name, "summary": summary, "parameters": parameters}
    return {method: {**known, **more, "responses": dict(sorted(answered.items()))}}


def foreign_errors(schema: str) -> Node:
    """Write the replies of errors of other people's protocols, whose bodies have the schema of that name, by status.

    These protocols know 400 for whatever is wrong with the values.
    """
    found: Node = {}
    for code in sorted(openapi_responses.READING, key=STATUS.__getitem__):
        status = MALFORMED if code == "invalid" else STATUS[code]
        found[str(status)] = {
            "description": openapi_responses.ERRORS[code][0],
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
    found[str(MALFORMED)]["description"] = "The body cannot be decoded, or its values break the model's signature."
    return found
