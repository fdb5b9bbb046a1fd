"""The native list of the models that a server has."""

from urllib.parse import quote

import msgspec

from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import MODEL_PREFIX, Operation, answers
from septet.registry import Models
from septet.service import Service


class ModelList:
    """The route that lists the models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @answers(
        "GET",
        "/models",
        operation=Operation("models", "List the models", "model", "septet.protocols.native.native_openapi"),
    )
    async def models(self, http: HttpRequest) -> HttpReply:
        """`GET /models`: the models that are served, where the routes of each stand, and which could not be loaded."""
        listed = [_listed(each.service) for each in self._models]
        body = msgspec.json.encode({"models": listed, "missing": self._models.missing})
        return HttpReply(200, body, checked_id(http.headers))


def _listed(service: Service) -> dict[str, str | None]:
    identity = service.identity
    return {
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "kind": service.signature.kind.value,
        "description": service.manifest.description,
        "path": MODEL_PREFIX.format(model=quote(identity.name)),
    }
