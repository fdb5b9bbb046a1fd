"""Asking a server on this machine something on its admin socket."""

import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from septet.errors import SettingsInvalid, StartupError
from septet.remote.server_address import UNIX
from septet.server.admin_socket import default_admin_path

_OK = 200


def socket_of(server: str) -> Path:
    """The admin socket of a server, given as that path, as a port of this machine, as a URL or as `unix:` and a path.

    Raises:
        SettingsInvalid: it is none of them.
    """
    if server.isdecimal():
        return default_admin_path(int(server))
    if server.startswith(UNIX):
        return default_admin_path(Path(server.removeprefix(UNIX)))
    if "://" not in server:
        return Path(server)
    try:
        port = urlsplit(server).port
    except ValueError as error:
        raise SettingsInvalid(f"{server}: is no URL: {error}") from error
    if port is None:
        raise SettingsInvalid(f"{server}: give the server's own port, such as http://127.0.0.1:8000")
    return default_admin_path(port)


def ask_admin(path: Path, route: str, body: object) -> bytes:
    """POST a body as JSON and return that of the answer, however long it takes.

    Raises:
        StartupError: no server listens there, or it refuses; its own words.
    """
    connection = _UnixConnection(path)
    try:
        connection.request("POST", route, msgspec.json.encode(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        received = answer.read()
    except FileNotFoundError as error:
        raise StartupError(
            f"{path}: no server of this user has this admin socket; --to takes the path that --admin-socket gave it"
        ) from error
    except (OSError, HTTPException) as error:
        raise StartupError(f"{path}: the server does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != _OK:
        raise StartupError(_message(received))
    return received


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def _message(body: bytes) -> str:
    try:
        found: Mapping[str, Mapping[str, str]] = msgspec.json.decode(body)
        return found["error"]["message"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return body.decode(errors="replace")
