"""gRPC's standard health service, for balancers and Kubernetes' own gRPC probes."""

from collections.abc import Callable, Iterable
from enum import IntEnum

from septet.errors import NotFound
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import Route
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.methods import Method, described, read, written
from septet.protocols.rpc.paths import HEALTH


class Status(IntEnum):
    """What is said of a service."""

    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class Health:
    """Says of the whole server (`""`) and of each name in `services` whether it takes calls."""

    def __init__(self, ready: Callable[[], bool], services: Iterable[str]) -> None:
        self._ready = ready
        self._known = {"", *services}

    def methods(self) -> tuple[Method, ...]:
        """`Check` and `Watch`."""
        return described(f"/{HEALTH}/Check", self._check), Method(
            Route(f"/{HEALTH}/Watch", {"POST": self._watch}), "answers"
        )

    async def _check(self, http: HttpRequest) -> HttpReply:
        status = self._status(http)
        if status is Status.SERVICE_UNKNOWN:
            raise NotFound(f"There is no such service here. There are {', '.join(sorted(map(repr, self._known)))}.")
        return _reply(http, status)

    async def _watch(self, http: HttpRequest) -> HttpReply:
        return _reply(http, self._status(http))

    def _status(self, http: HttpRequest) -> Status:
        if read("grpc.health.v1.HealthCheckRequest", http.body).service not in self._known:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if self._ready() else Status.NOT_SERVING


def _reply(http: HttpRequest, status: Status) -> HttpReply:
    return written(http, message("grpc.health.v1.HealthCheckResponse")(status=status))
