"""One operation of one path as OpenAPI has it."""

from septet.protocols.http.error_bodies import MALFORMED, STATUS
from septet.protocols.http.routes import Describe, Operation, OperationContext
from septet.protocols.openapi import openapi_responses
from septet.protocols.openapi.schema_nodes import Node


def written(operation: Operation, described: OperationContext) -> Node:
    """An operation, whole."""
    more = operation.describe(described)
    parameters = [{"$ref": "#/components/parameters/RequestId"}, *more.pop("parameters", [])]
    responses = more.pop("responses")
    known = {"tags": [operation.tag], "operationId": operation.name, "summary": operation.summary}
    return {**known, "parameters": parameters, **more, "responses": dict(sorted(responses.items()))}


def answering(reply: Node) -> Describe:
    """What asks for nothing, and answers `reply`."""
    return lambda _: {"responses": {**openapi_responses.errors(openapi_responses.ALWAYS), "200": reply}}


def answering_json(schema: Node, *, text: str = "Done.") -> Describe:
    """What asks for nothing, and answers JSON, in a protocol whose errors are `PlainError`."""
    found = {**foreign_errors("PlainError"), "200": openapi_responses.reply(schema, text=text)}
    return lambda _: {"responses": found}


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
