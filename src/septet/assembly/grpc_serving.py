"""From served models to a server that answers gRPC calls beside HTTP. Imported only where gRPC is asked for."""

import socket
from collections.abc import Sequence

from septet.assembly.access_rules import GRPC_PROBES
from septet.events import Observer
from septet.protocols.http.app import App
from septet.protocols.http.predict_route import JobAcceptor
from septet.protocols.http.routes import declared_routes
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.rpc.health import HealthService
from septet.protocols.rpc.methods import Method
from septet.protocols.rpc.paths import HEALTH, INFERENCE
from septet.protocols.rpc.reflection import Reflection
from septet.server.connection_gauge import ConnectionGauge
from septet.server.grpc_server import GrpcServer
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.tls_files import TlsFiles
from septet.settings import Settings


def grpc_templates() -> tuple[str, ...]:
    """The paths of every method, by which metrics count calls."""
    owners = (GrpcService, HealthService, Reflection)
    return tuple(route.template for owner in owners for route in declared_routes(owner))


def grpc_application(
    http: App, settings: Settings, observer: Observer, jobs: JobAcceptor | None = None
) -> tuple[App, Sequence[Method]]:
    """The application that answers calls, and its methods; `http` is that of the same models over HTTP.

    Calls have an application of their own: a path of gRPC is none of HTTP, and the other way round. `jobs` takes what
    is to be answered later.
    """
    models = http.models
    app = http.beside(GRPC_PROBES)

    def ready() -> bool:
        return not app.draining

    inference = GrpcService(models, settings.limits, http.find, ready)
    health = HealthService(ready, (INFERENCE,), models)
    reflection = Reflection((INFERENCE, HEALTH))
    app.install(lambda _: (), (inference, health, reflection), observer, settings.limits, jobs)
    return app, (*inference.methods(), *health.methods(), *reflection.methods())


def grpc_server(
    http: App,
    settings: Settings,
    observer: Observer,
    sockets: Sequence[socket.socket],
    connections: ConnectionGauge,
    *,
    tls_files: TlsFiles | None = None,
    jobs: JobAcceptor | None = None,
) -> GrpcServer:
    """Put the server together; `http` is the application of the same models over HTTP, `jobs` as above."""
    app, methods = grpc_application(http, settings, observer, jobs)
    state = H2ServerState(app, methods, settings.limits, connections.grpc)
    return GrpcServer(state, sockets, backlog=settings.server.backlog, crowded=connections.crowded, tls_files=tls_files)
