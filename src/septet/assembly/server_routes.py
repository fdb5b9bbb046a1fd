"""The routes of a server that are of no protocol of its models: pages, metrics, the document of all routes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from septet.assembly.access_rules import OPEN_PATHS
from septet.assembly.key_source import asks_for_keys
from septet.monitoring.key_usage import KeyCount
from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import DocumentedRoute, Operation, answers
from septet.registry import Models
from septet.service import Service
from septet.settings import Limits, Settings
from septet.web.pages import CONTENT_SECURITY_POLICY, FILES, page

if TYPE_CHECKING:
    # A server that accepts no jobs does without.
    from septet.monitoring.job_metrics import StoreReading

_Method = TypeVar("_Method", bound=Callable[..., Any])
_PAGE_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
)


_OPENAPI = "septet.assembly.server_openapi"
#: The files of the page are no operations.
_PAGES = {
    "/": Operation("root", "Try the model out", "documents", _OPENAPI),
    "/docs": Operation("docs", "Try the model out", "documents", _OPENAPI),
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

    `operated` has every route; `names` are the models that `snapshot` counts, in its order; `key_counts` gives what is
    counted of API keys, `read_jobs` what the store of jobs says.
    """

    def __init__(
        self,
        models: Models,
        operated: Callable[[], Iterable[DocumentedRoute]],
        settings: Settings,
        snapshot: Callable[[], MetricsSnapshot],
        names: Sequence[str],
        key_counts: Callable[[], Sequence[KeyCount]],
        read_jobs: Callable[[], Awaitable["StoreReading"]] | None = None,
    ) -> None:
        self._models = models
        self._operated = operated
        self._settings = settings
        self._snapshot = snapshot
        self._names = names
        self._key_counts = key_counts
        self._read_jobs = read_jobs

    @answers("GET", "/openapi.json", operation=Operation("openapi", "Read this document", "documents", _OPENAPI))
    async def openapi(self, http: HttpRequest) -> HttpReply:
        """`GET /openapi.json`: OpenAPI 3.1, typed by the very models."""
        services = [each.service for each in self._models]
        root_path = self._settings.server.root_path + http.root_path
        open_paths = OPEN_PATHS if asks_for_keys(self._settings.access) else None
        # In a thread: to write the document, and to import what writes it, would hold up predictions.
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(
            None, _document, list(self._operated()), services, self._settings.limits, root_path, open_paths
        )
        return HttpReply(200, await written, checked_id(http.headers))

    @answers("GET", "/metrics", operation=Operation("metrics", "Read the metrics", "documents", _OPENAPI))
    async def metrics(self, http: HttpRequest) -> HttpReply:
        """`GET /metrics`: for Prometheus."""
        facts = [_facts(each.service) for each in self._models]
        accept = http.headers.get(b"accept", b"").decode("latin-1")
        # In a thread: the first page imports the metrics library, which would hold up predictions.
        loop = asyncio.get_running_loop()
        counts = self._key_counts()
        jobs = None if self._read_jobs is None else await self._read_jobs()
        page = loop.run_in_executor(None, exposition, self._snapshot(), self._names, facts, accept, counts, jobs)
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


def _document(
    operated: Sequence[DocumentedRoute],
    services: Sequence[Service],
    limits: Limits,
    root_path: str,
    open_paths: Collection[str] | None,
) -> bytes:
    from septet.protocols.openapi.openapi_document import openapi

    return msgspec.json.encode(openapi(operated, services, limits=limits, root_path=root_path, open_paths=open_paths))


def _facts(service: Service) -> ModelFacts:
    age = service.freshness()
    known = None if age.state == "unknown" else age.state
    return ModelFacts(service.identity, service.manifest.runtime, service.signature.kind.value, age.age_days, known)
