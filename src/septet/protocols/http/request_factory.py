"""What every protocol stands on: the one way to make a request of a model, and a reply of its answer."""

import os
import time
from collections.abc import Mapping
from typing import Final

from septet.protocols.http.http_messages import JSON, HttpReply, request_id_of
from septet.registry import ServedModel
from septet.settings import Limits
from septet.types import Request, Response, Tensors

_ID_BYTES: Final = 16
_IDS_AT_ONCE: Final = 256
# Ids that were drawn and not given out yet: to ask the system for each takes longer than to write it.
_spare: list[str] = []
# A child that is forked must not give out its parent's.
os.register_at_fork(after_in_child=_spare.clear)


class RequestFactory:
    """A model behind its limits. Protocols decode to a `Request` made here, and encode from its `Response`."""

    def __init__(self, model: ServedModel, limits: Limits, route: str = "") -> None:
        """Take the beginning of the paths that the requests come by, such as `/v2`; they may have their own timeout."""
        self.model = model
        self.service = model.service
        self.limits = limits
        self._timeout = limits.seconds_of(route)
        self._longest = limits.max_timeout_seconds

    def request(
        self,
        tensors: Tensors,
        rows: int,
        request_id: str | None,
        outputs: tuple[str, ...] | None = None,
        *,
        timeout: float | None = None,
        trace: str | None = None,
    ) -> Request:
        """A request for decoded tensors.

        `request_id` is the caller's, or None: then one is made. `timeout` is the caller's, in seconds, or None for the
        server's own.
        """
        seconds = self._timeout if timeout is None else min(timeout, self._longest)
        return Request(tensors, rows, request_id or new_id(), outputs, time.monotonic() + seconds, trace)


def new_id() -> str:
    """A full 128-bit random id, 32 hexadecimal digits."""
    try:
        return _spare.pop()
    except IndexError:
        digits = os.urandom(_ID_BYTES * _IDS_AT_ONCE).hex()
        width = 2 * _ID_BYTES
        _spare.extend([digits[start : start + width] for start in range(width, len(digits), width)])
        return digits[:width]


def checked_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's `x-request-id`, else a new id.

    Raises:
        Malformed: the header is longer than 128 characters or has any but visible ASCII characters.
    """
    return request_id_of(headers) or new_id()


def answered(
    request: Request,
    response: Response,
    body: bytes,
    media_type: bytes = JSON,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> HttpReply:
    """The reply that carries a predictor's answer."""
    return HttpReply(
        200,
        body,
        request.id,
        media_type,
        headers,
        "ok",
        request.rows,
        response.timings,
        None,
        response.model,
        response.flags,
    )
