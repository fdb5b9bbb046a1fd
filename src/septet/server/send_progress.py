"""Whether a client takes what it is sent: a slow one that reads on is no dead one."""

import asyncio
import socket
import struct
from typing import Final

# Linux: `tcpi_bytes_acked` of `struct tcp_info` (linux/tcp.h), the bytes that the other side has acknowledged.
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
_ACKNOWLEDGED: Final = struct.Struct("=120xQ")


def send_progress(transport: asyncio.Transport) -> tuple[int, int]:
    """What changes whenever the client takes bytes: those that the transport holds, and those acknowledged.

    The second is 0 where the system does not tell it. Only it tells of TLS, whose transport passes on what it encrypts.
    """
    return transport.get_write_buffer_size(), _acknowledged(transport)


def _acknowledged(transport: asyncio.Transport) -> int:
    opened = transport.get_extra_info("socket")
    if opened is None or _TCP_INFO is None:
        return 0
    try:
        info = opened.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACKNOWLEDGED.size)
    except OSError:  # no TCP, or closed
        return 0
    return int(_ACKNOWLEDGED.unpack(info)[0]) if len(info) == _ACKNOWLEDGED.size else 0
