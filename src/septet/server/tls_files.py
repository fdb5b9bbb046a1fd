"""The certificate, key and callers' authority of a server: read when it starts, and again whenever the files change.

New files make new contexts, which are complete before they are used: connections that are open keep theirs, new ones
take the new one, and no session of the old one is resumed in it (a session stands for a certificate that was checked).

The parent of workers has them as well. So a worker that is started later begins with what was read last, whatever the
files are by then; and what becomes of the files is logged once, not by each worker.
"""

import logging
import ssl
import stat
from pathlib import Path
from typing import Final, TypeAlias

from septet.errors import StartupError
from septet.settings import Server

#: The ALPN protocols that are served (RFC 7301), each on a port of its own.
HTTP, GRPC = "http/1.1", "h2"

logger = logging.getLogger("septet.server")

#: What changes when a file is written, replaced or given other rights; None for what is no file.
_Stamp: TypeAlias = tuple[int, ...] | None


class TlsFiles:
    """Contexts made of the files of a server that has a certificate.

    Attributes:
        logs: whether it says that files were read again, or cannot be.
    """

    def __init__(self, server: Server) -> None:
        """Read the files.

        Raises:
            StartupError: they cannot be used.
        """
        self._server = server
        self.logs = True
        self._known = self._seen = self._stamps()
        self._contexts: Final = self._read()

    def context(self, protocol: str) -> ssl.SSLContext:
        """The context for new connections of `HTTP` or `GRPC`."""
        return self._contexts[protocol]

    def look(self, *, settled: bool = True) -> None:
        """Use the files for new connections where they have changed and fit; otherwise go on with what was read.

        `settled`: only what is the same in two looks. A pair that is being replaced, one file after the other, is
        mostly whole by then.
        """
        now = self._stamps()
        before, self._seen = self._seen, now
        if now == self._known or (settled and now != before):
            return
        self._known = now
        refusal = None
        try:
            for file, stamp in now.items():
                if stamp is None:  # to open it might never end
                    raise StartupError(f"{file}: there is no such file")
            self._contexts.update(self._read())
        except StartupError as error:
            refusal = error.message
        if not self.logs:
            return
        if refusal is None:
            logger.info("new connections use the TLS files that have changed: %s", self._server.tls_certificate)
        else:
            logger.error("new connections go on with the TLS files that were read before: %s", refusal)

    def _read(self) -> dict[str, ssl.SSLContext]:
        """Contexts of the files as they are now."""
        return {protocol: self._made(protocol) for protocol in (HTTP, GRPC)}

    def _made(self, protocol: str) -> ssl.SSLContext:
        server = self._server
        certificate, key, authority = server.tls_certificate or "", server.tls_key, server.tls_client_ca
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        # To renegotiate costs the server much more than the client.
        made.options |= ssl.OP_NO_RENEGOTIATION
        made.set_alpn_protocols([protocol])
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

    def _stamps(self) -> dict[str, _Stamp]:
        server = self._server
        files = (server.tls_certificate, server.tls_key, server.tls_client_ca)
        return {file: _stamp_of(file) for file in files if file is not None}


def _stamp_of(file: str) -> _Stamp:
    try:
        facts = Path(file).stat()
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
