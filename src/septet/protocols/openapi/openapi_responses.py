"""The replies of every route as OpenAPI has them: bodies, headers, and the one envelope of errors."""

from typing import Any

from septet.protocols.http.error_bodies import STATUS
from septet.protocols.openapi.schema_nodes import Node, closed
from septet.types import Identity

# code: (when it is given, the message of its example)
ERRORS: dict[str, tuple[str, str]] = {
    "malformed": ("The bytes cannot be decoded.", "The body is not valid JSON: it ends after 17 bytes."),
    "not_found": ("The model has nothing to answer with here.", "This model has no labels. Use /predict."),
    "conflict": ("It does not fit what was asked before.", "The idempotency key was used for another request."),
    "gone": ("It is over, and no longer kept.", "The job is over, and its answer is no longer kept."),
    "request_timeout": ("The request was sent too slowly.", "The body did not arrive in time."),
    "too_large": ("The body is over its limit of bytes.", "The body is larger than the limit."),
    "unsupported_media_type": ("The content type is not one that is read here.", "Send application/json."),
    "invalid": ("The values break the model's signature.", "Expected a number in row 0, received a text."),
    "overloaded": ("Too many requests wait.", "Too many requests are waiting. Try again later."),
    "headers_too_large": ("The headers are over their limits.", "The headers are over the limit of bytes."),
    "internal": ("The model failed on valid input, or the server has a fault.", "The server has a fault."),
    "unavailable": ("The server is starting, draining or without a sound model.", "The server is draining."),
    "deadline_exceeded": ("The answer was not ready in time.", "The answer was not ready before its deadline."),
}
ALWAYS = ("malformed", "request_timeout", "headers_too_large", "internal", "unavailable")
PREDICTING = (*ALWAYS, "overloaded", "deadline_exceeded")
READING = (*PREDICTING, "too_large", "unsupported_media_type", "invalid")

HEADERS: dict[str, Node] = {
    "x-request-id": {
        "description": "The id of this request: the caller's, or one made for it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "septet-model": {
        "description": "The name of the model that is served; absent while it loads.",
        "schema": {"type": "string"},
    },
    "septet-model-version": {"description": "Its version.", "schema": {"type": "string"}},
    "septet-model-digest": {
        "description": "The SHA-256 of its artefact or manifest.",
        "schema": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    },
    "septet-flags": {
        "description": "What a caller should know of this answer, such as `degraded`; absent where there is nothing.",
        "schema": {"type": "string"},
    },
    "retry-after": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
}
EVERY = ("x-request-id", "septet-model", "septet-model-version", "septet-model-digest")
FLAGGED = (*EVERY, "septet-flags")
RETRIED = ("overloaded", "unavailable")


def reply(schema: Node, example: Any = None, *, text: str = "Done.", media: str = "application/json") -> Node:
    """Write a success."""
    content = {"schema": schema, **({} if example is None else {"example": example})}
    return {"description": text, "headers": _headers(FLAGGED), "content": {media: content}}


def body(prediction: Node) -> Node:
    """Write the schema of a prediction's body."""
    model = {"$ref": "#/components/schemas/Model"}
    found = closed({"prediction": prediction, "model": model, "id": {"type": "string"}})
    flags = {"type": "array", "items": {"type": "string"}, "description": "As the header septet-flags."}
    return {**found, "properties": {**found["properties"], "flags": flags}}


def example(prediction: Any, identity: Identity) -> Node | None:
    """Write an example of a prediction's body, or None where no prediction is known."""
    if prediction is None:
        return None
    model = {"name": identity.name, "version": identity.version, "digest": identity.digest}
    return {"prediction": prediction, "model": model, "id": "3f2a9c0d5b7e4f18a6c1d2e3f4051627"}


def errors(codes: tuple[str, ...]) -> dict[str, Node]:
    """Refer to the replies of errors, by status."""
    return {
        str(STATUS[code]): {"$ref": f"#/components/responses/{code}"} for code in sorted(codes, key=STATUS.__getitem__)
    }


def error_replies(column: str | None) -> dict[str, Node]:
    """Write the replies of errors, by code; `column` is one that an example may name."""
    return {code: _error(code, column) for code in ERRORS}


def schemas() -> dict[str, Node]:
    """Write the schemas of a model's identity and of errors."""
    text = {"type": "string"}
    problem = {
        "row": {"type": ["integer", "null"], "description": "The row, counted from 0."},
        "column": {"type": ["string", "null"], "description": "The column or tensor."},
        "expected": text,
        "received": text,
    }
    error = {
        "code": {"type": "string", "enum": list(STATUS), "description": "One of a closed list, for programs."},
        "message": {"type": "string", "description": "What is wrong, where, and what to do, for people."},
        "details": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
        "id": {"type": "string", "description": "The id of this request."},
    }
    return {
        "Model": closed({"name": text, "version": text, "digest": text}),
        "Problem": closed(problem),
        "Error": closed({"error": closed(error)}),
    }


def _headers(names: tuple[str, ...]) -> dict[str, Node]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error(code: str, column: str | None) -> Node:
    description, message = ERRORS[code]
    problem = {"row": 0, "column": column, "expected": "a number", "received": '"abc"'}
    fault = {"code": code, "message": message, "details": [problem] if code == "invalid" else [], "id": "8d1f6c2b9a4e"}
    return {
        "description": description,
        "headers": _headers((*EVERY, "retry-after") if code in RETRIED else EVERY),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": {"error": fault}}
        },
    }
