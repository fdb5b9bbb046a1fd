"""The routes that describe a service: metadata, labels, OpenAPI."""

import msgspec

from septet.errors import NotFound
from septet.model.labels import label_map
from septet.protocols.http.http_messages import HttpReply, HttpRequest, new_id, request_id_of
from septet.protocols.native.metadata import metadata
from septet.protocols.openapi.openapi_document import openapi
from septet.service import Service
from septet.settings import Limits


class ModelInfo:
    """Handlers of `/metadata`, `/label` and `/openapi.json`."""

    def __init__(self, service: Service, *, limits: Limits, root_path: str) -> None:
        self._service = service
        self._limits = limits
        self._root_path = root_path

    async def metadata(self, http: HttpRequest) -> HttpReply:
        """`GET /metadata`: what the model is and takes, from its own artefact (WS-7)."""
        facts = metadata(self._service, limits=self._limits)
        return _json(http, facts)

    async def label(self, http: HttpRequest) -> HttpReply:
        """`GET /label`: the label map by position."""
        labels = label_map(self._service.signature)
        if not labels:
            raise NotFound("This model has no labels.")
        return _json(http, labels)

    async def openapi(self, http: HttpRequest) -> HttpReply:
        """`GET /openapi.json`: OpenAPI 3.1 typed by this very model (C-3)."""
        document = openapi(self._service, limits=self._limits, root_path=self._root_path + http.root_path)
        return _json(http, document)


def _json(http: HttpRequest, content: object) -> HttpReply:
    return HttpReply(200, msgspec.json.encode(content), request_id_of(http.headers) or new_id())
