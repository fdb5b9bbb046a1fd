"""From a `Service` to a server that answers gRPC calls beside HTTP. Imported only where gRPC is asked for."""

import socket
from collections.abc import Callable, Sequence

from septet.events import Observer
from septet.protocols.http.app import App
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.rpc.health import Health
from septet.protocols.rpc.paths import HEALTH, INFERENCE
from septet.protocols.rpc.reflection import Reflection
from septet.server.grpc import GrpcServer
from septet.service import Service
from septet.settings import Settings


def grpc_server(
    service: Service,
    settings: Settings,
    observer: Observer,
    http: App,
    sockets: Sequence[socket.socket],
    *,
    connected: Callable[[int], None],
    crowded: Callable[[], bool],
) -> GrpcServer:
    """Put the server together; `http` is the application of the same service over HTTP, the rest is for `GrpcServer`.

    Calls have an application of their own: a path of gRPC is none of HTTP, and the other way round.
    """
    app = App()

    def ready() -> bool:
        return not app.draining

    methods = (
        *GrpcService(RequestFactory(service, settings.limits), http.routes, ready).methods(),
        *Health(ready, (INFERENCE, service.identity.name)).methods(),
        *Reflection((INFERENCE, HEALTH)).methods(),
    )
    routes = {method.route.template: method.route for method in methods}
    app.install(service.identity, routes, observer, service.predictor, max_body_bytes=settings.limits.max_body_bytes)
    return GrpcServer(app, methods, sockets, settings, connected=connected, crowded=crowded)
