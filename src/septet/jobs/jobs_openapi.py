"""What OpenAPI says of the routes that accept jobs and tell of them."""

from typing import Any

from septet.jobs import submission
from septet.jobs.job_routes import LONGEST_WAIT, MOST_LISTED
from septet.protocols.http import job_headers
from septet.protocols.http.routes import OperationContext
from septet.protocols.native import native_openapi
from septet.protocols.openapi import openapi_responses
from septet.protocols.openapi.schema_nodes import Node
from septet.queues.job import HIGHEST_PRIORITY, LOWEST_PRIORITY, JobState

_TEXT: Node = {"type": "string"}
_ID: Node = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME: Node = {"type": "string", "format": "date-time"}
_SECONDS: Node = {"type": "number", "minimum": 0, "maximum": submission.LONGEST_SECONDS}
_STATE: Node = {"type": "string", "enum": [state.value for state in JobState]}
_JOB: Node = {
    "type": "object",
    "properties": {
        "job_id": _ID,
        "state": _STATE,
        "href": _TEXT,
        "path": _TEXT,
        "model": {"type": "object"},
        "submitted_at": _TIME,
        "not_before": _TIME,
        "waiting_for": {"type": "string", "description": "Where no worker could answer it now: what it waits for."},
        "started_at": _TIME,
        "ended_at": _TIME,
        "kept_until": _TIME,
        "attempts": {"type": "integer", "minimum": 0},
        "max_attempts": {"type": "integer", "minimum": 1},
        "worker": _TEXT,
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "reason": {"enum": ["permanent", "attempts_exhausted", "too_old"]},
        "error": {"type": "object", "properties": {"code": _TEXT, "message": _TEXT}},
        "sink": _TEXT,
        "answer": {"type": "object", "description": "The reply that the request would have been given at once."},
    },
    "required": ["job_id", "state", "href", "submitted_at", "attempts"],
}
_TICKET: Node = {
    "type": "object",
    "properties": {"job_id": _ID, "state": {"const": "queued"}, "href": _TEXT, "submitted_at": _TIME},
    "required": ["job_id", "state", "href", "submitted_at"],
}


def predict_async(described: OperationContext) -> Node:
    """Describe `POST /predict/async`."""
    errors = openapi_responses.errors((*openapi_responses.READING, "conflict"))
    accepted = openapi_responses.reply(_TICKET, text="Accepted and stored; the header location says where it is found.")
    body = native_openapi.predict(described)["requestBody"]
    return {"parameters": _submitting(), "requestBody": body, "responses": {"202": accepted, **errors}}


def job(described: OperationContext) -> Node:  # noqa: ARG001 - all describe alike
    """Describe `GET /job/{job_id}`."""
    shape = _query("shape", {"enum": ["full", "classic"]}, "`classic`: the id and the prediction alone.")
    found = openapi_responses.reply(_JOB, text="The job.")
    return {"parameters": [_JOB_ID, _WAIT, shape], "responses": {"200": found, **_errors()}}


def job_answer(described: OperationContext) -> Node:  # noqa: ARG001 - all describe alike
    """Describe `GET /job/{job_id}/answer`."""
    replies = {
        "200": openapi_responses.reply({}, text="The answer, as it would have been given at once."),
        "202": openapi_responses.reply(_JOB, text="There is no answer yet."),
        "default": openapi_responses.reply({}, text="The error that it would have been given at once."),
    }
    return {"parameters": [_JOB_ID, _WAIT], "responses": {**replies, **_errors()}}


def job_events(described: OperationContext) -> Node:  # noqa: ARG001 - all describe alike
    """Describe `GET /job/{job_id}/events`."""
    seen = {
        "name": "last-event-id",
        "in": "header",
        "required": False,
        "description": "What was seen.",
        "schema": _TEXT,
    }
    text = "Its events until it has ended, and comments."
    event = openapi_responses.reply(_TEXT, text=text, media="text/event-stream")
    return {"parameters": [_JOB_ID, seen], "responses": {"200": event, **_errors()}}


def cancel_job(described: OperationContext) -> Node:  # noqa: ARG001 - all describe alike
    """Describe `DELETE /job/{job_id}`."""
    replies = {
        "200": openapi_responses.reply(_JOB, text="It has ended, by this request or before."),
        "202": openapi_responses.reply(_JOB, text="It runs, and its worker is asked to end it."),
    }
    return {"parameters": [_JOB_ID], "responses": {**replies, **_errors()}}


def jobs(described: OperationContext) -> Node:  # noqa: ARG001 - all describe alike
    """Describe `GET /jobs`."""
    listed: Node = {"type": "object", "properties": {"jobs": {"type": "array", "items": _JOB}, "next": {}}}
    parameters = [
        _query("state", _STATE, "Only jobs in this state; those that failed are the dead letters."),
        _query("model", _TEXT, "Only jobs for this model."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_LISTED}, "How many."),
        _query("before", {"type": "integer", "minimum": 0}, "As the path in `next` has it."),
    ]
    errors = openapi_responses.errors(openapi_responses.ALWAYS)
    return {"parameters": parameters, "responses": {"200": openapi_responses.reply(listed, text="A page."), **errors}}


def _errors() -> dict[str, Node]:
    return openapi_responses.errors((*openapi_responses.ALWAYS, "not_found", "gone"))


def _query(name: str, schema: Node, text: str) -> Node:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


_WAIT = _query(
    "wait", {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT}, "Seconds to wait for the end of the job."
)
_JOB_ID: Node = {"name": "job_id", "in": "path", "required": True, "schema": _ID}


def _submitting() -> list[Node]:
    key: Node = {"type": "string", "minLength": 1, "maxLength": submission.LONGEST_KEY, "pattern": "^[!-~]+$"}
    attempts: Node = {"type": "integer", "minimum": 1, "maximum": submission.MOST_ATTEMPTS}
    priority: Node = {"type": "integer", "minimum": LOWEST_PRIORITY, "maximum": HIGHEST_PRIORITY}
    headers: list[tuple[bytes, Any, str]] = [
        (job_headers.IDEMPOTENCY_KEY, key, "The same key and the same request are the same job."),
        (job_headers.KEY, key, "Jobs of one key run one after the other, in their order."),
        (job_headers.PRIORITY, priority, "Higher ones run earlier; none waits for ever."),
        (job_headers.DELAY, _SECONDS, "Seconds before it may begin."),
        (job_headers.BEGIN_WITHIN, _SECONDS, "Seconds after which it expires unless it has begun."),
        (job_headers.ATTEMPTS, attempts, "How often it may be begun."),
        (job_headers.MAX_AGE, _SECONDS, "Seconds after its first begin from which a failed attempt is its last."),
        (job_headers.DIGEST, {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}, "The only model that may answer."),
        (job_headers.SINK, _TEXT, "Where the answer is to be brought to."),
    ]
    return [
        {"name": name.decode(), "in": "header", "required": False, "description": text, "schema": schema}
        for name, schema, text in headers
    ]
