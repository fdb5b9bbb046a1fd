"""A configuration for nginx, version 1.20 or later: a file for its `http` block, such as `conf.d/iris.conf`.

A prediction changes nothing, so one that a replica did not answer is asked of another, even by POST. nginx finds out
about a replica by asking it: one that fails is left alone for a second.
"""

from septet.balancers.balanced_service import BalancedService, Replica, too_large, unavailable

_MEBIBYTE = 1024 * 1024


def nginx_configuration(service: BalancedService) -> str:
    """The text of the file."""
    parts = [_request_id(service)]
    if service.replicas:
        parts += [_upstream(service.name, service.replicas), _http(service)]
    if service.grpc_replicas:
        parts += [_upstream(f"{service.name}_grpc", service.grpc_replicas), _grpc(service)]
    return "\n".join(parts)


def _variable(service: BalancedService) -> str:
    return "$" + "".join(each if each.isalnum() else "_" for each in service.name) + "_request_id"


def _shown(service: BalancedService) -> str:
    return f"{_variable(service)}_shown"


def _request_id(service: BalancedService) -> str:
    return f"""\
# The caller's id of a request, or a new one.
map $http_x_request_id {_variable(service)} {{
    "" $request_id;
    default $http_x_request_id;
}}
# The same where it can stand in JSON.
map {_variable(service)} {_shown(service)} {{
    "~^[!#-\\[\\]-~]{{1,128}}$" {_variable(service)};
    default "";
}}
"""


def _upstream(name: str, replicas: tuple[Replica, ...]) -> str:
    servers = "".join(f"    server {each.address} max_fails=1 fail_timeout=1s;\n" for each in replicas)
    # Once all are left alone, nginx would answer an error by itself: so each is there again for that case.
    servers += "".join(f"    server {each.address} max_fails=0 backup;\n" for each in replicas)
    return f"""\
upstream {name} {{
    zone {name} 64k;
    least_conn;
{servers}    keepalive 64;
}}
"""


def _tls(service: BalancedService) -> str:
    if service.certificate is None:
        return ""
    return f"    ssl_certificate {service.certificate};\n    ssl_certificate_key {service.key};\n"


def _http(service: BalancedService) -> str:
    request_id, limits, prefix = _variable(service), service.limits, service.prefix
    ssl = "" if service.certificate is None else " ssl"
    # Without a path of its own, nginx passes on the caller's as it came.
    target = f"http://{service.name}/" if prefix else f"http://{service.name}"
    return f"""\
server {{
    listen {service.listen}{ssl};
{_tls(service)}    client_max_body_size {limits.max_body_bytes};
    client_body_buffer_size {min(limits.max_body_bytes, _MEBIBYTE)};
    client_header_timeout {limits.header_timeout_seconds:g}s;
    keepalive_timeout {limits.keep_alive_seconds:g}s;
    keepalive_requests 1000000;

    # The numbers of one replica say nothing of the others: collect them from each.
    location = {prefix}/metrics {{ return 404; }}

    location {prefix}/ {{
        proxy_pass {target};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Request-Id {request_id};
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 1s;
        proxy_read_timeout {service.answer_seconds}s;
        proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        proxy_next_upstream_tries {2 * service.tries};
        proxy_buffers 16 64k;
    }}

    error_page 502 504 = @{service.name}_unavailable;
    location @{service.name}_unavailable {{
        default_type application/json;
        add_header retry-after 1 always;
        add_header x-request-id {request_id} always;
        return 503 '{unavailable(_shown(service))}';
    }}
    error_page 413 = @{service.name}_too_large;
    location @{service.name}_too_large {{
        default_type application/json;
        add_header x-request-id {request_id} always;
        return 413 '{too_large(limits.max_body_bytes, _shown(service))}';
    }}
}}
"""


def _grpc(service: BalancedService) -> str:
    ssl = "" if service.certificate is None else " ssl"
    return f"""\
server {{
    listen {service.grpc_listen}{ssl} http2;
{_tls(service)}    client_max_body_size {service.limits.max_body_bytes};
    client_body_buffer_size {min(service.limits.max_body_bytes, _MEBIBYTE)};
    keepalive_timeout {service.limits.keep_alive_seconds:g}s;
    # A client opens another connection after so many calls, and some lose one by it.
    keepalive_requests 1000000;

    location / {{
        grpc_pass grpc://{service.name}_grpc;
        grpc_set_header X-Request-Id {_variable(service)};
        grpc_connect_timeout 1s;
        grpc_read_timeout {service.answer_seconds}s;
        grpc_next_upstream error timeout http_502 http_503 non_idempotent;
        grpc_next_upstream_tries {2 * service.tries};
    }}

    error_page 502 503 504 = @{service.name}_grpc_unavailable;
    location @{service.name}_grpc_unavailable {{
        default_type application/grpc;
        add_header grpc-status 14;
        add_header grpc-message "No replica answers.";
        return 204;
    }}
}}
"""
