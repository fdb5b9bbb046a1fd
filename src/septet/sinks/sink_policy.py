"""Where answers may be brought to: what the owner of a server says."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

#: A name for an address, such as `answers=file:///srv/answers`.
SINK_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}=\S+$"
#: `*` for every host; a name or an IP address; `*.` and a name for all hosts below it.
HOST_PATTERN: Final = r"^(\*|(\*\.)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])$"
SECRET_PATTERN: Final = r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$"  # noqa: S105 - it is the form of one
NETWORK_PATTERN: Final = r"^[0-9a-f:.]+/[0-9]{1,3}$"

_Seconds = Annotated[float, Meta(gt=0, le=600)]


class SinkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may name, and what the owner has named.

    Attributes:
        sinks: each `NAME=ADDRESS`: callers name them by the name, so they never see the address.
        webhook_hosts: hosts of the hooks that callers may name by URL; none by default.
        webhook_ports: ports of such hooks.
        webhook_http: such hooks may have URLs with `http:`, which nothing protects on its way.
        webhook_networks: networks that hooks may be in, beside the public internet, such as `10.0.0.0/8`.
        webhook_secrets: what hooks are signed with; several while one is replaced by another.
        connect_seconds, first_byte_seconds, whole_seconds: how long a hook may take until it is connected, begins to
            answer, and has answered.
    """

    sinks: tuple[Annotated[str, Meta(pattern=SINK_PATTERN)], ...] = ()
    webhook_hosts: tuple[Annotated[str, Meta(pattern=HOST_PATTERN)], ...] = ()
    webhook_ports: tuple[Annotated[int, Meta(ge=1, le=65535)], ...] = (80, 443)
    webhook_http: bool = False
    webhook_networks: tuple[Annotated[str, Meta(pattern=NETWORK_PATTERN)], ...] = ()
    webhook_secrets: tuple[Annotated[str, Meta(pattern=SECRET_PATTERN)], ...] = ()
    connect_seconds: _Seconds = 5.0
    first_byte_seconds: _Seconds = 15.0
    whole_seconds: _Seconds = 30.0

    def __repr__(self) -> str:
        """Without what may be secret: addresses may hold passwords."""
        names = [each.partition("=")[0] for each in self.sinks]
        return f"SinkPolicy(sinks={names}, webhook_hosts={list(self.webhook_hosts)})"
