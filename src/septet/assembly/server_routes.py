"""The routes of a server that are of no protocol of its models: pages, metrics, the document of all routes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import Operation, answers
from septet.protocols.openapi import openapi_responses
from septet.protocols.openapi.openapi_document import DocumentedRoute, openapi
from septet.protocols.openapi.operations import answering
from septet.registry import Models
from septet.service import Service
from septet.settings import Settings
from septet.web.pages import CONTENT_SECURITY_POLICY, FILES, page

_Method = TypeVar("_Method", bound=Callable[..., Any])
_PAGE_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
)


_JSON = answering({"200": openapi_responses.reply({"type": "object"})})
_TEXT = answering({"200": openapi_responses.reply({"type": "string"}, media="text/plain")})
_PAGE = answering({"200": openapi_responses.reply({"type": "string"}, text="A page.", media="text/html")})
#: The files of the page are no operations.
_PAGES = {
    "/": Operation("root", "Try the model out", "documents", _PAGE),
    "/docs": Operation("docs", "Try the model out", "documents", _PAGE),
}


def _answers_each(paths: Iterable[str]) -> Callable[[_Method], _Method]:
    """Declare one route for each path: metrics count each page by itself."""

    def declared(function: _Method) -> _Method:
        for path in paths:
            answers("GET", path, operation=_PAGES.get(path))(function)
        return function

    return declared


class ServerRoutes:
    """What describes the whole server.

    `operated` has every route; `names` are the models that `snapshot` counts, in its order.
    """

    def __init__(
        self,
        models: Models,
        operated: Callable[[], Iterable[DocumentedRoute]],
        settings: Settings,
        snapshot: Callable[[], MetricsSnapshot],
        names: Sequence[str],
    ) -> None:
        self._models = models
        self._operated = operated
        self._settings = settings
        self._snapshot = snapshot
        self._names = names

    @answers("GET", "/openapi.json", operation=Operation("openapi", "Read this document", "documents", _JSON))
    async def openapi(self, http: HttpRequest) -> HttpReply:
        """`GET /openapi.json`: OpenAPI 3.1, typed by the very models."""
        services = [each.service for each in self._models]
        root_path = self._settings.server.root_path + http.root_path
        document = openapi(self._operated(), services, limits=self._settings.limits, root_path=root_path)
        return HttpReply(200, msgspec.json.encode(document), checked_id(http.headers))

    @answers("GET", "/metrics", operation=Operation("metrics", "Read the metrics", "documents", _TEXT))
    async def metrics(self, http: HttpRequest) -> HttpReply:
        """`GET /metrics`: for Prometheus."""
        facts = [_facts(each.service) for each in self._models]
        accept = http.headers.get(b"accept", b"").decode("latin-1")
        # In a thread: the first page imports the metrics library, which would hold up predictions.
        loop = asyncio.get_running_loop()
        page = loop.run_in_executor(None, exposition, self._snapshot(), self._names, facts, accept)
        body, media_type = await page
        return HttpReply(200, body, checked_id(http.headers), media_type.encode())

    @_answers_each(FILES)
    async def page(self, http: HttpRequest) -> HttpReply:
        """The try-out page and its files."""
        found = page(http.path)
        if found is None:  # declared by the same table
            raise KeyError(http.path)
        body, media_type = found
        return HttpReply(200, body, checked_id(http.headers), media_type.encode(), _PAGE_HEADERS)


def _facts(service: Service) -> ModelFacts:
    age = service.freshness()
    known = None if age.state == "unknown" else age.state
    return ModelFacts(service.identity, service.manifest.runtime, service.signature.kind.value, age.age_days, known)
