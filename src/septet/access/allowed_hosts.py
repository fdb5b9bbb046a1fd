"""The names by which a server may be asked.

A page of another site can let its own name point to this server's address, and then ask it as if it were the page's own
(DNS rebinding). The header `Host` has that name, so a server that knows its names can refuse others: with 421, since it
answers for none of these (RFC 9110, 15.5.20).
"""

import re
from collections.abc import Mapping, Sequence

from septet.errors import Misdirected
from septet.protocols.http.http_messages import shown

HOST = b"host"
# A name or an address, which is in brackets where it is of IPv6, and perhaps a port.
_PARTS = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}")


class AllowedHosts:
    """Checks the header `Host`, or HTTP/2's `:authority`, for these names; one without a port is of any."""

    def __init__(self, hosts: Sequence[str]) -> None:
        names = [each.lower() for each in hosts]
        self._exact = frozenset(each for each in names if not each.startswith("*."))
        self._below: dict[str, list[str]] = {}
        for each in names:
            if each.startswith("*."):
                name, port = _split(each.removeprefix("*"))
                self._below.setdefault(port, []).append(name)

    def check(self, headers: Mapping[bytes, bytes], *, probing: bool) -> None:
        """Refuse a request for another host. One that is `probing` may also name any address.

        A probe asks for the address that it connects to; a name is what a page of another site would send.

        Raises:
            Misdirected: it is so.
        """
        value = headers.get(HOST, b"")
        host = value.decode("latin-1").lower()
        name, port = _split(host)
        # The dot of the root changes nothing (RFC 1034, 3.1).
        name = name.removesuffix(".")
        if name in self._exact or name + port in self._exact:
            return
        below = (*self._below.get("", ()), *(self._below.get(port, ()) if port else ()))
        if any(name.endswith(each) and len(name) > len(each) for each in below):
            return
        if probing and _ADDRESS.fullmatch(name):
            return
        raise Misdirected(f"This server is not {shown(value)}; allowed_hosts names what it is.")


def _split(host: str) -> tuple[str, str]:
    """The name, and the port with its colon; no port where there is none."""
    match = _PARTS.fullmatch(host)
    if match is None:
        return host, ""
    port = match[2] or ""
    return match[1], "" if port == ":" else port
