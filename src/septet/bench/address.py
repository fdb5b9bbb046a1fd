"""The server's address: from a URL, and a first exchange with it before any load."""

import http.client
import re
import socket
import ssl
from urllib.parse import urlsplit

from septet.bench.load import Target
from septet.errors import Invalid, Unavailable
from septet.remote.caller_tls import SYSTEM_TLS, CallerTls, caller_context

# RFC 9110, 11.2, token68.
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_PORTS = {"http": 80, "https": 443}


def target_of(
    url: str, *, tls: CallerTls = SYSTEM_TLS, insecure: bool = False, api_key: str = ""
) -> tuple[Target, str]:
    """Read a URL: the server, and the path that stands before every route's own (empty for none).

    Raises:
        Invalid: it is no URL of HTTP, or the key cannot be one.
    """
    if api_key and _KEY.fullmatch(api_key) is None:
        raise Invalid("the API key must be letters, digits and ._~+/- without spaces, perhaps with = at the end")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Invalid(f"{url}: is no URL: {exc}") from exc
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Invalid(f"{url}: is no URL of HTTP; give one such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise Invalid(f"{url}: give scheme, host, port and path only; --path may have a query")
    target = Target(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        authority=parts.netloc,
        tls=parts.scheme == "https",
        insecure=insecure,
        caller=tls,
        api_key=api_key,
    )
    return target, parts.path.rstrip("/")


def tls_context(target: Target) -> ssl.SSLContext | None:
    """Return how a server's certificate is checked and which one is presented, or None for a server without TLS.

    Raises:
        Invalid: a file of certificates or keys cannot be used.
    """
    if not target.tls:
        return None
    context = caller_context(target.caller)
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def ask(target: Target, request: bytes, timeout: float) -> tuple[int, bytes]:
    """Send one whole request and return the status and the body of the answer; `timeout` is in seconds.

    Raises:
        Unavailable: the server cannot be connected to, or does not answer in HTTP.
        Invalid: a file of certificates or keys cannot be used.
    """
    context = tls_context(target)
    try:
        with socket.create_connection((target.host, target.port), timeout) as plain:
            stream = plain if context is None else context.wrap_socket(plain, server_hostname=target.host)
            with stream:
                stream.sendall(request)
                answer = http.client.HTTPResponse(stream)
                answer.begin()
                return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Unavailable(f"{target.authority}: does not answer: {str(exc) or type(exc).__name__}") from exc
