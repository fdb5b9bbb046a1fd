"""Where answers may be brought to: what the owner of a server says."""

from typing import Annotated

import msgspec
from msgspec import Meta

from septet.settings.job_settings import (
    SINK_PATTERN,
    WEBHOOK_HOST_PATTERN,
    WEBHOOK_NETWORK_PATTERN,
    WEBHOOK_SECRET_PATTERN,
)

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
    webhook_hosts: tuple[Annotated[str, Meta(pattern=WEBHOOK_HOST_PATTERN)], ...] = ()
    webhook_ports: tuple[Annotated[int, Meta(ge=1, le=65535)], ...] = (80, 443)
    webhook_http: bool = False
    webhook_networks: tuple[Annotated[str, Meta(pattern=WEBHOOK_NETWORK_PATTERN)], ...] = ()
    webhook_secrets: tuple[Annotated[str, Meta(pattern=WEBHOOK_SECRET_PATTERN)], ...] = ()
    connect_seconds: _Seconds = 5.0
    first_byte_seconds: _Seconds = 15.0
    whole_seconds: _Seconds = 30.0

    def __repr__(self) -> str:
        """Without what may be secret: addresses may hold passwords."""
        names = [each.partition("=")[0] for each in self.sinks]
        return f"SinkPolicy(sinks={names}, webhook_hosts={list(self.webhook_hosts)})"
