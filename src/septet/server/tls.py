"""The certificate, key and callers' authority of a server: read when it starts, and again whenever the files change.

New files make a new context, which is tried before it is used: connections that are open keep theirs, new ones take
the new one, and no session of the old one is resumed in it (a session stands for a certificate that was checked).
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from septet.errors import StartupError
from septet.settings import Limits, Server

#: Between two looks at the files. What has changed is read once it is the same in two looks: a pair that is being
#: replaced, one file after the other, is mostly whole by then.
LOOK_SECONDS: Final = 1.0

logger = logging.getLogger("septet.server")

#: What `stat` tells of each file: it changes when the file is written, replaced or given other rights.
_Stamp: TypeAlias = tuple[tuple[int, ...] | None, ...]


class ServedTls:
    """What encrypts the connections of one ALPN protocol (RFC 7301: `http/1.1`, `h2`); nothing without a certificate.

    Attributes:
        logs: whether it says that files were read again, or cannot be; of several workers one does.
    """

    def __init__(self, server: Server, limits: Limits, protocol: str, *, logs: bool) -> None:
        """Read the files.

        Raises:
            StartupError: they cannot be used.
        """
        self._server = server
        self._protocol = protocol
        self._handshake_seconds = limits.header_timeout_seconds
        self._most_handshakes = limits.max_connections
        self._handshakes = 0
        self.logs = logs
        self._known = self._seen = self._stamp()
        self._context = None if server.tls_certificate is None else self._read()

    async def open(self, protocol: Callable[[], asyncio.Protocol], connection: socket.socket) -> None:
        """Make a transport of an accepted socket, encrypted where there is a certificate.

        Raises:
            OSError: the handshake failed, took as long as a request's headers may, or is one too many.
        """
        loop = asyncio.get_running_loop()
        if self._context is None:
            await loop.connect_accepted_socket(protocol, connection)
            return
        if self._handshakes >= self._most_handshakes:
            # No connection yet, so that nothing else counts it.
            raise ConnectionAbortedError("too many TLS handshakes are under way")
        self._handshakes += 1
        try:
            await loop.connect_accepted_socket(
                protocol, connection, ssl=self._context, ssl_handshake_timeout=self._handshake_seconds
            )
        finally:
            self._handshakes -= 1

    async def watch(self) -> None:
        """Look at the files every second, until cancelled."""
        while self._context is not None:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Use the files for new connections where they have changed and fit; otherwise go on with what was read."""
        now = self._stamp()
        settled, self._seen = now == self._seen, now
        if now == self._known or not settled:
            return
        self._known = now
        refusal = None
        try:
            self._context = self._read()
        except StartupError as error:
            refusal = error.message
        if not self.logs:
            return
        if refusal is None:
            logger.info("new connections use the TLS files that have changed: %s", self._server.tls_certificate)
        else:
            logger.error("new connections go on with the TLS files that were read before: %s", refusal)

    def _read(self) -> ssl.SSLContext:
        """A context of the files as they are now."""
        server = self._server
        certificate, key, authority = server.tls_certificate or "", server.tls_key, server.tls_client_ca
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        # To renegotiate costs the server much more than the client.
        made.options |= ssl.OP_NO_RENEGOTIATION
        made.set_alpn_protocols([self._protocol])
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            made.load_cert_chain(certificate, key, server.tls_key_password or "")
        except OSError as error:  # ssl.SSLError is one
            what = f"{certificate} and {key or 'the key in it'}"
            raise StartupError(f"TLS cannot be served with {what}: {error}") from error
        if authority is not None:
            made.verify_mode = ssl.CERT_REQUIRED
            try:
                made.load_verify_locations(cafile=authority)
            except OSError as error:
                raise StartupError(f"callers' certificates cannot be checked with {authority}: {error}") from error
        return made

    def _stamp(self) -> _Stamp:
        server = self._server
        files = (server.tls_certificate, server.tls_key, server.tls_client_ca)
        return tuple(map(_stamp_of, files))


def _stamp_of(file: str | None) -> tuple[int, ...] | None:
    if file is None:
        return None
    try:
        facts = Path(file).stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
