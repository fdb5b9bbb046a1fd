"""The routes of the Open Inference Protocol over REST."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from septet.errors import Invalid, Unavailable
from septet.protocols.http.health_routes import ServerState
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory, checked_id
from septet.protocols.http.routes import Operation, answers
from septet.protocols.openinference.model_description import (
    EXTENSIONS,
    SERVER,
    index_entry,
    missing_entry,
    model_config,
    model_metadata,
)
from septet.protocols.openinference.model_statistics import Statistics, model_statistics
from septet.registry import Models
from septet.tables.strict_json import strict

MODEL = "/v2/models/{model}"
VERSION = f"{MODEL}/versions/{{version}}"
_OPENAPI = "septet.protocols.openinference.infer_openapi"
#: From the name of a model to the sums of all processes so far.
StatisticsOf: TypeAlias = Callable[[str], Statistics]


class InferRoutes:
    """The routes of one model below `/v2` that predict nothing."""

    def __init__(self, request_factory: RequestFactory, counted: StatisticsOf, state: ServerState) -> None:
        self._service = request_factory.service
        self._limits = request_factory.limits
        self._counted = counted
        self._state = state

    @answers(
        "GET",
        MODEL,
        VERSION,
        operation=Operation("v2_model", "Describe the model", "protocols", _OPENAPI),
    )
    async def model(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}`: its inputs and outputs."""
        return self._json(http, model_metadata(self._service))

    @answers(
        "GET",
        f"{MODEL}/ready",
        f"{VERSION}/ready",
        operation=Operation("v2_model_ready", "Can the model answer now?", "protocols", _OPENAPI),
    )
    async def ready(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/ready`: whether it answers. While it loads, the application says so."""
        if self._state.draining:
            raise Unavailable("The server is draining.")
        identity = self._service.identity
        return self._json(http, {"name": identity.name, "version": identity.version, "ready": True})

    @answers(
        "GET",
        f"{MODEL}/config",
        f"{VERSION}/config",
        operation=Operation("v2_config", "Describe the model as Triton does", "protocols", _OPENAPI),
    )
    async def config(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/config`: the model as Triton's configurations describe one."""
        return self._json(http, model_config(self._service, self._limits))

    @answers(
        "GET",
        f"{MODEL}/stats",
        f"{VERSION}/stats",
        operation=Operation("v2_stats", "Count its predictions", "protocols", _OPENAPI),
    )
    async def stats(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/stats`: sums over all processes."""
        identity = self._service.identity
        return self._json(http, {"model_stats": [model_statistics(identity, self._counted(identity.name))]})

    def _json(self, http: HttpRequest, content: object) -> HttpReply:
        return HttpReply(200, msgspec.json.encode(content), checked_id(http.headers), model=self._service.identity)


class InferServer:
    """The routes below `/v2` that are of the server, and of all its models."""

    def __init__(self, models: Models, counted: StatisticsOf) -> None:
        self._models = models
        self._counted = counted
        self._server: bytes | None = None

    @answers("GET", "/v2", "/v2/", operation=Operation("v2", "Describe the server", "protocols", _OPENAPI))
    async def server(self, http: HttpRequest) -> HttpReply:
        """`GET /v2`: what this server is."""
        if self._server is None:
            # In a thread: to read the installed version takes long for an event loop, and nobody else needs it.
            version = await asyncio.get_running_loop().run_in_executor(None, _installed_version)
            self._server = msgspec.json.encode({"name": SERVER, "version": version, "extensions": EXTENSIONS})
        return HttpReply(200, self._server, checked_id(http.headers))

    @answers(
        "GET",
        "/v2/models/stats",
        operation=Operation("v2_all_stats", "Count the predictions of all models", "protocols", _OPENAPI),
    )
    async def stats(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/stats`: sums over all processes, of each model."""
        identities = [each.service.identity for each in self._models]
        counted = [model_statistics(each, self._counted(each.name)) for each in identities]
        return HttpReply(200, msgspec.json.encode({"model_stats": counted}), checked_id(http.headers))

    @answers(
        "POST",
        "/v2/repository/index",
        operation=Operation("v2_index", "List the models", "protocols", _OPENAPI),
    )
    async def index(self, http: HttpRequest) -> HttpReply:
        """`POST /v2/repository/index`: every model. A body is optional, and may ask for ready models only."""
        asked = strict(http.body, '{"ready": true}') if http.body.strip() else {}
        if not isinstance(asked, dict):
            raise Invalid('The body must be a JSON object such as {"ready": true}, or empty.')
        entries = [index_entry(each.service) for each in self._models]
        if not asked.get("ready"):
            entries += [missing_entry(name, reason) for name, reason in self._models.missing.items()]
        return HttpReply(200, msgspec.json.encode(entries), checked_id(http.headers))


def _installed_version() -> str:
    from importlib import metadata  # noqa: PLC0415 - it takes 30 ms to load

    return metadata.version("septet")
