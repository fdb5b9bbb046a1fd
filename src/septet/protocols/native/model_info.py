"""The routes that describe a model: metadata and labels."""

from collections.abc import Mapping

import msgspec

from septet.errors import NotFound
from septet.model.labels import label_map
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import Operation, answers
from septet.protocols.http.work_thread import WorkThread
from septet.protocols.native.metadata import metadata
from septet.service import Service
from septet.settings import Limits

# Labels and columns of a model that is described in a thread.
_MANY = 1000
# About what one of them takes in the answer.
_NAMED_BYTES = 100
_OPENAPI = "septet.protocols.native.native_openapi"


class ModelInfo:
    """The routes that describe one model."""

    def __init__(
        self,
        service: Service,
        *,
        limits: Limits,
        work_thread: WorkThread,
        jobs: Mapping[str, object] | None = None,
    ) -> None:
        self._jobs = jobs
        self._service = service
        self._limits = limits
        self._work_thread = work_thread

    @answers("GET", "/metadata", operation=Operation("metadata", "Describe the model", "model", _OPENAPI))
    async def metadata(self, http: HttpRequest) -> HttpReply:
        """`GET /metadata`: what the model is and takes, from its own artefact."""
        service, limits, jobs = self._service, self._limits, self._jobs
        signature = service.signature
        named = len(signature.labels) + len(signature.columns)
        if named > _MANY:
            body = await self._work_thread.run(
                lambda: msgspec.json.encode(metadata(service, limits=limits, jobs=jobs)), named * _NAMED_BYTES
            )
            return HttpReply(200, body, checked_id(http.headers), model=service.identity)
        return self._json(http, metadata(service, limits=limits, jobs=jobs))

    @answers("GET", "/label", operation=Operation("label", "List the labels", "model", _OPENAPI))
    async def label(self, http: HttpRequest) -> HttpReply:
        """`GET /label`: the label map by position."""
        labels = label_map(self._service.signature)
        if not labels:
            raise NotFound("This model has no labels.")
        return self._json(http, labels)

    def _json(self, http: HttpRequest, content: object) -> HttpReply:
        body, request_id = msgspec.json.encode(content), checked_id(http.headers)
        return HttpReply(200, body, request_id, model=self._service.identity)
