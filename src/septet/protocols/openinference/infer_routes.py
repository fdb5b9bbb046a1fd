"""The routes of the Open Inference Protocol over REST, for one service."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from septet.errors import Invalid, Unavailable
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest, new_id, request_id_of
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Route, Routes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.openinference.model_description import (
    EXTENSIONS,
    SERVER,
    index_entry,
    model_config,
    model_metadata,
)
from septet.protocols.openinference.model_statistics import Statistics, model_statistics
from septet.tables.strict_json import strict

#: The closed list of templates, in the order in which people look for them.
TEMPLATES = (
    "/v2",
    "/v2/models/{model}/infer",
    "/v2/models/{model}",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/config",
    "/v2/models/{model}/stats",
    "/v2/models/stats",
    "/v2/repository/index",
)


class InferRoutes:
    """The service's routes below `/v2`; those of health are the application's own, for they precede the model.

    `statistics` gives the sums of all processes so far; `draining` says whether the server is about to stop.
    """

    def __init__(
        self, request_factory: RequestFactory, statistics: Callable[[], Statistics], draining: Callable[[], bool]
    ) -> None:
        self._service = request_factory.service
        self._limits = request_factory.limits
        self._statistics = statistics
        self._draining = draining
        self._infer = InferRequestReader(request_factory)
        self._server: bytes | None = None

    def routes(self) -> Routes:
        """Every route, for the model with and without its version."""
        identity = self._service.identity
        plain: dict[str, tuple[str, Mapping[str, Handle]]] = {
            "/v2": ("/v2", {"GET": self.server}),
            "/v2/": ("/v2", {"GET": self.server}),
            "/v2/models/stats": ("/v2/models/stats", {"GET": self.stats}),
            "/v2/repository/index": ("/v2/repository/index", {"POST": self.index}),
        }
        model = f"/v2/models/{identity.name}"
        for path in (model, f"{model}/versions/{identity.version}"):
            for part, handle in (("", self.model), ("/ready", self.ready), ("/config", self.config)):
                plain[path + part] = ("/v2/models/{model}" + part, {"GET": handle})
            plain[f"{path}/stats"] = ("/v2/models/{model}/stats", {"GET": self.stats})
        routes = {path: Route(template, handlers) for path, (template, handlers) in plain.items()}
        infer = Route("/v2/models/{model}/infer", predict=self._infer)
        return {**routes, f"{model}/infer": infer, f"{model}/versions/{identity.version}/infer": infer}

    async def server(self, http: HttpRequest) -> HttpReply:
        """`GET /v2`: what this server is."""
        if self._server is None:
            # In a thread: to read the installed version takes long for an event loop, and nobody else needs it.
            version = await asyncio.get_running_loop().run_in_executor(None, _installed_version)
            self._server = msgspec.json.encode({"name": SERVER, "version": version, "extensions": EXTENSIONS})
        return HttpReply(200, self._server, _id(http))

    async def model(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}`: its inputs and outputs."""
        return _json(http, model_metadata(self._service))

    async def ready(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/ready`: whether it answers. While it loads, the application says so."""
        if self._draining():
            raise Unavailable("The server is draining.")
        identity = self._service.identity
        return _json(http, {"name": identity.name, "version": identity.version, "ready": True})

    async def config(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/config`: the model as Triton's configurations describe one."""
        return _json(http, model_config(self._service, self._limits))

    async def stats(self, http: HttpRequest) -> HttpReply:
        """`GET /v2/models/{model}/stats` and `/v2/models/stats`: sums over all processes."""
        return _json(http, {"model_stats": [model_statistics(self._service.identity, self._statistics())]})

    async def index(self, http: HttpRequest) -> HttpReply:
        """`POST /v2/repository/index`: the one model. A body is optional, and may ask for ready models only."""
        if http.body.strip() and not isinstance(strict(http.body, '{"ready": true}'), dict):
            raise Invalid('The body must be a JSON object such as {"ready": true}, or empty.')
        return _json(http, [index_entry(self._service)])


def _installed_version() -> str:
    from importlib import metadata  # noqa: PLC0415 - it takes 30 ms to load

    return metadata.version("septet")


def _json(http: HttpRequest, content: object) -> HttpReply:
    return HttpReply(200, msgspec.json.encode(content), _id(http))


def _id(http: HttpRequest) -> str:
    return request_id_of(http.headers) or new_id()
