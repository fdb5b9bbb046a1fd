"""How a caller checks a server's certificate, and the certificate that it presents itself."""

import os
import ssl
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from septet.errors import Invalid

FilePath: TypeAlias = str | os.PathLike[str]


class CallerTls(msgspec.Struct, frozen=True):
    """PEM files of a caller.

    Attributes:
        ca: the authorities to trust, in place of those that the system trusts.
        client_certificate: the caller's certificate, with its chain behind it.
        client_key: its private key, without a password; None where the certificate's file has it as well.
    """

    ca: FilePath | None = None
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None

    def __bool__(self) -> bool:
        """Whether any file is given."""
        return any(file is not None for file in (self.ca, self.client_certificate, self.client_key))


#: No file: what the system trusts is trusted, and no certificate presented.
SYSTEM_TLS: Final = CallerTls()


class CallerPem(msgspec.Struct, frozen=True):
    """What stands in the files of a caller, for a library that takes bytes; None for a file that was not given."""

    ca: bytes | None
    client_certificate: bytes | None
    client_key: bytes | None

    def __repr__(self) -> str:
        """Show no key."""
        return "CallerPem()"


def caller_context(tls: CallerTls) -> ssl.SSLContext:
    """A context that checks servers' certificates and presents the caller's.

    Raises:
        Invalid: a file cannot be read, or certificate and key do not belong together.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise Invalid(f"{tls.ca}: holds no certificates that can be read: {error}") from error
    if tls.client_certificate is None:
        if tls.client_key is not None:
            raise Invalid("a client key needs the client certificate that it belongs to")
        return context
    try:
        # Without a password the library would ask for one at the terminal.
        context.load_cert_chain(tls.client_certificate, tls.client_key, password="")
    except (OSError, ValueError) as error:
        keyed = "" if tls.client_key is None else f" and {tls.client_key}"
        raise Invalid(
            f"{tls.client_certificate}{keyed}: no client certificate with its key can be read (a key must have no"
            f" password): {error}"
        ) from error
    return context


def caller_pem(tls: CallerTls) -> CallerPem:
    """The same files as bytes, checked as for `caller_context`.

    Raises:
        Invalid: a file cannot be read, or certificate and key do not belong together.
    """
    if tls:
        caller_context(tls)
    key = tls.client_certificate if tls.client_key is None else tls.client_key
    return CallerPem(_bytes(tls.ca), _bytes(tls.client_certificate), _bytes(key))


def _bytes(file: FilePath | None) -> bytes | None:
    try:
        return None if file is None else Path(file).read_bytes()
    except OSError as error:
        raise Invalid(f"{file}: cannot be read: {error}") from error
