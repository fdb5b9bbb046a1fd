"""gRPC's standard health service, for balancers and Kubernetes' own gRPC probes."""

from collections.abc import Callable, Iterable
from enum import IntEnum

from septet.errors import NotFound
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import answers
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.methods import Method, methods_of, read, written
from septet.protocols.rpc.paths import HEALTH
from septet.registry import Models


class HealthStatus(IntEnum):
    """The health of a service."""

    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class HealthService:
    """Says of the whole server (`""`), of each of `services` and of each model whether it takes calls."""

    def __init__(self, ready: Callable[[], bool], services: Iterable[str], models: Models) -> None:
        self._ready = ready
        self._services = {"", *services}
        self._models = models

    def methods(self) -> tuple[Method, ...]:
        """`Check` and `Watch`."""
        return methods_of(self, Method(f"/{HEALTH}/Watch", "answers"))

    @answers("POST", f"/{HEALTH}/Check")
    async def check(self, http: HttpRequest) -> HttpReply:
        """Whether a service takes calls now.

        Raises:
            NotFound: there is no such service.
        """
        status = self._status(http)
        if status is HealthStatus.SERVICE_UNKNOWN:
            raise NotFound(f"There is no such service here. There are {', '.join(sorted(map(repr, self._known())))}.")
        return _reply(http, status)

    @answers("POST", f"/{HEALTH}/Watch")
    async def watch(self, http: HttpRequest) -> HttpReply:
        """The same, for a stream that sends it again when the server begins to drain."""
        return _reply(http, self._status(http))

    def _known(self) -> set[str]:
        return self._services | {each.service.identity.name for each in self._models}

    def _status(self, http: HttpRequest) -> HealthStatus:
        if read("grpc.health.v1.HealthCheckRequest", http.body).service not in self._known():
            return HealthStatus.SERVICE_UNKNOWN
        return HealthStatus.SERVING if self._ready() else HealthStatus.NOT_SERVING


def _reply(http: HttpRequest, status: HealthStatus) -> HttpReply:
    return written(http, message("grpc.health.v1.HealthCheckResponse")(status=status))
