"""What OpenAPI says of the routes that are of no protocol."""

from septet.protocols.openapi import openapi_responses
from septet.protocols.openapi.operations import answering

openapi = answering(openapi_responses.reply({"type": "object"}))
metrics = answering(openapi_responses.reply({"type": "string"}, media="text/plain"))
root = docs = answering(openapi_responses.reply({"type": "string"}, text="A page.", media="text/html"))
