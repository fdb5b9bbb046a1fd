"""The certificate and key of a server."""

import ssl

from septet.errors import StartupError
from septet.settings import Server


def context(server: Server, protocol: str) -> ssl.SSLContext | None:
    """What encrypts connections of an ALPN protocol (RFC 7301: `http/1.1`, `h2`); None where there is no certificate.

    Raises:
        StartupError: certificate and key cannot be used.
    """
    if server.tls_certificate is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        made.load_cert_chain(server.tls_certificate, server.tls_key, server.tls_key_password or "")
    except OSError as error:  # ssl.SSLError is one
        what = f"{server.tls_certificate} and {server.tls_key or 'the key in it'}"
        raise StartupError(f"TLS cannot be served with {what}: {error}") from error
    made.set_alpn_protocols([protocol])
    return made
