"""What every protocol stands on: one model, its limits, and the one way to make a request of it."""

import time

from septet.registry import ServedModel
from septet.settings import Limits
from septet.types import Request, Tensors


class RequestFactory:
    """A model behind its limits. Protocols decode to a `Request` made here, and encode from its `Response`."""

    def __init__(self, model: ServedModel, limits: Limits) -> None:
        self.model = model
        self.service = model.service
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
        """A request for decoded tensors; `timeout` is the caller's, in seconds, or None for the server's own."""
        seconds = self._timeout if timeout is None else min(timeout, self._longest)
        return Request(tensors, rows, request_id, outputs, time.monotonic() + seconds, trace)
