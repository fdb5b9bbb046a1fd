"""What every protocol stands on: one service, its limits, and the one way to make a request of it."""

import time

from septet.service import Service
from septet.settings import Limits
from septet.types import Request, Tensors


class RequestFactory:
    """A service behind its limits. Protocols decode to a `Request` made here, and encode from its `Response`."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self.service = service
        self.limits = limits
        self._timeout = limits.timeout_seconds
        self._longest = limits.max_timeout_seconds

    def request(
        self,
        tensors: Tensors,
        rows: int,
        request_id: str,
        outputs: tuple[str, ...] | None = None,
        *,
        timeout: float | None = None,
        trace: str | None = None,
    ) -> Request:
        """A request for decoded tensors; `timeout` is the caller's, in seconds, or None for the server's own (SY-2)."""
        seconds = self._timeout if timeout is None else min(timeout, self._longest)
        return Request(tensors, rows, request_id, outputs, time.monotonic() + seconds, trace)
