"""What a server answers on its admin socket, beside its health."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from septet.errors import Conflict, Malformed, StartupError
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import answers
from septet.server.release_messages import ReleaseOrder, ReleaseResult


class AdminRoutes:
    """`release` serves a new version of a model in all processes, or raises StartupError."""

    def __init__(self, release: Callable[[ReleaseOrder], Awaitable[ReleaseResult]]) -> None:
        self._release = release

    @answers("POST", "/release")
    async def release(self, http: HttpRequest) -> HttpReply:
        """`POST /release` of a `ReleaseOrder`: a `ReleaseResult` once it is served, 409 where it cannot be."""
        try:
            order = msgspec.json.decode(http.body, type=ReleaseOrder)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"The body must be a release order: {error}.") from error
        if not Path(order.path).is_absolute():
            raise Malformed(f"The path must be absolute, not {order.path[:200]!r}.")
        try:
            result = await self._release(order)
        except StartupError as error:
            raise Conflict(error.message) from error
        return HttpReply(200, msgspec.json.encode(result), checked_id(http.headers))
