"""A configuration for HAProxy, version 2.4 or later: a whole file.

HAProxy asks each replica every second whether it is ready, so one that drains is left before it ends. A request that no
replica has answered is asked of another, as far as it fits into HAProxy's buffer; a prediction changes nothing.
"""

from septet.balancers.balanced_service import BalancedService, Replica, unavailable

#: A larger request is asked of another replica only where the connection to the first failed.
BUFFER_BYTES = 65536


def haproxy_configuration(service: BalancedService) -> str:
    """The text of the file."""
    parts = [_defaults(service)]
    if service.replicas:
        parts.append(_http(service))
    if service.grpc_replicas:
        parts.append(_grpc(service))
    return "\n".join(parts)


def _defaults(service: BalancedService) -> str:
    limits = service.limits
    body = unavailable("%[unique-id]").replace('"', '\\"')
    return f"""\
global
    tune.bufsize {BUFFER_BYTES}

defaults
    mode http
    timeout connect 1s
    timeout client {limits.keep_alive_seconds:g}s
    timeout server {service.answer_seconds}s
    timeout queue {limits.timeout_seconds:g}s
    timeout http-request {limits.header_timeout_seconds:g}s
    timeout http-keep-alive {limits.keep_alive_seconds:g}s
    retries {service.tries}
    option redispatch 1
    retry-on conn-failure empty-response response-timeout 502 503
    option forwardfor
    option http-buffer-request
    unique-id-format %[uuid()]
    http-error status 503 content-type application/json hdr retry-after 1 lf-string "{body}"
    default-server inter 1s fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
"""


def _bind(port: int, service: BalancedService, protocol: str) -> str:
    if service.certificate is None:
        return f"bind :{port}" + (" proto h2" if protocol == "h2" else "")
    return f"bind :{port} ssl crt {service.certificate} alpn {protocol}"


def _address(replica: Replica) -> str:
    return replica.address.replace("unix:", "unix@", 1) if replica.port is None else replica.address


def _http(service: BalancedService) -> str:
    prefix = service.prefix
    strip = f"    http-request set-path %[path,regsub(^{prefix}/,/)]\n" if prefix else ""
    servers = "".join(
        f"    server {service.name}{number} {_address(each)} check\n" for number, each in enumerate(service.replicas, 1)
    )
    return f"""\
frontend {service.name}
    {_bind(service.listen, service, "http/1.1")}
    http-request set-header x-request-id %[unique-id] unless {{ req.hdr(x-request-id) -m found }}
    # The numbers of one replica say nothing of the others: collect them from each.
    http-request return status 404 if {{ path {prefix}/metrics }}
{strip}    default_backend {service.name}

backend {service.name}
    balance leastconn
    option httpchk GET /health/ready
    http-check expect status 200
{servers}"""


def _grpc(service: BalancedService) -> str:
    lines = []
    # Whether it is ready is asked over HTTP, at its port.
    asked = bool(service.replicas) and all(each.port is not None for each in service.replicas)
    for number, each in enumerate(service.grpc_replicas, 1):
        health = f" port {service.replicas[number - 1].port} check-proto h1" if asked else ""
        lines.append(f"    server {service.name}_grpc{number} {each.address} proto h2 check{health}\n")
    checks = "    option httpchk GET /health/ready\n    http-check expect status 200\n" if asked else ""
    return f"""\
frontend {service.name}_grpc
    {_bind(service.grpc_listen, service, "h2")}
    default_backend {service.name}_grpc

backend {service.name}_grpc
    balance leastconn
{checks}{"".join(lines)}"""
