"""What OpenAPI says of the routes of health."""

from septet.protocols.openapi import openapi_responses
from septet.protocols.openapi.operations import answering, answering_json
from septet.protocols.openapi.schema_nodes import Node, closed

_TRUE: Node = {"const": True}
_STATE: Node = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_HEALTH: Node = {"type": "object", "properties": {"health": {"const": "ok"}}, "required": ["health"]}

health = answering(openapi_responses.reply(_HEALTH, {"health": "ok"}))
health_live = health_ready = health_startup = answering(openapi_responses.reply(_STATE, text="Yes."))
ping = answering(openapi_responses.reply({"type": "object"}, text="Yes."))
v2_live = answering_json(closed({"live": _TRUE}))
v2_ready = answering_json(closed({"live": _TRUE, "ready": _TRUE}))
