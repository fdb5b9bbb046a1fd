"""Certificates for servers and clients, made by openssl."""

import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Authority:
    """An authority that issues certificates.

    Attributes:
        certificate: its own, in PEM.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl makes the certificates")
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", str(self._key), "-out", str(self.certificate),
        )  # fmt: skip

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost, whose subject has this name, and its key."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-addext", _NAMES,
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", str(self.certificate), "-CAkey", str(self._key),
            "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    def trusting(self, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """A client's context that trusts this authority, and has a certificate of its own where one is given."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if pair is not None:
            context.load_cert_chain(*pair)
        return context


def tls_options(pair: tuple[Path, Path]) -> Sequence[str]:
    """The options of a server with this certificate and key."""
    return "--tls-certificate", str(pair[0]), "--tls-key", str(pair[1])


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
