"""Whether the server lives, has started, and can answer now."""

from typing import Any

import msgspec

from septet.errors import Unavailable
from septet.protocols.http.error_responses import refused
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import Operation, answers
from septet.registry import Models

_OPENAPI = "septet.protocols.http.health_openapi"


class ServerState:
    """The state of the server that its health routes report.

    Attributes:
        starting: the process has more to open than its HTTP application: not ready, but answering.
        draining: the server is about to stop: not ready, but still answering.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self.starting = False
        self.draining = False

    def require_ready(self) -> None:
        """Refuse while models load, and when the server is about to stop.

        Raises:
            Unavailable: it is so.
        """
        if self.draining:
            raise Unavailable("The server is draining.")
        self.require_started()
        if self.starting:
            raise Unavailable("The server is starting.")

    def require_started(self) -> None:
        """Refuse while no model is loaded.

        Raises:
            Unavailable: it is so.
        """
        if not self.models:
            raise Unavailable("The model is loading.")

    def described(self) -> dict[str, Any]:
        """What is served, and what could not be loaded."""
        sole = self.models.sole
        if sole is not None:
            return {"status": "ready", "model": sole.service.identity}
        known: dict[str, Any] = {"status": "ready", "models": [each.service.identity for each in self.models]}
        return {**known, "missing": self.models.missing} if self.models.missing else known


class HealthRoutes:
    """The routes of health, native and of the Open Inference Protocol."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    @answers("GET", "/health", operation=Operation("health", "Say ok", "health", _OPENAPI))
    async def health(self, http: HttpRequest) -> HttpReply:
        """Say ok."""
        return HttpReply(200, b'{"health":"ok"}', checked_id(http.headers))

    @answers("GET", "/health/live", operation=Operation("health_live", "Is the process alive?", "health", _OPENAPI))
    async def live(self, http: HttpRequest) -> HttpReply:
        """Whether the process lives."""
        return HttpReply(200, b'{"status":"live"}', checked_id(http.headers))

    @answers("GET", "/ping", operation=Operation("ping", "Can it answer now?", "health", _OPENAPI))
    @answers("GET", "/health/ready", operation=Operation("health_ready", "Can it answer now?", "health", _OPENAPI))
    async def ready(self, http: HttpRequest) -> HttpReply:
        """Whether every model can answer now."""
        self._state.require_ready()
        return await self.startup(http)

    @answers("GET", "/health/startup", operation=Operation("health_startup", "Has it started?", "health", _OPENAPI))
    async def startup(self, http: HttpRequest) -> HttpReply:
        """Whether the server has started; what it serves."""
        self._state.require_started()
        return HttpReply(200, msgspec.json.encode(self._state.described()), checked_id(http.headers))

    @answers("GET", "/v2/health/live", operation=Operation("v2_live", "Is the process alive?", "protocols", _OPENAPI))
    async def open_inference_live(self, http: HttpRequest) -> HttpReply:
        """Whether the process lives, as the Open Inference Protocol has it."""
        return HttpReply(200, b'{"live":true}', checked_id(http.headers))

    @answers("GET", "/v2/health/ready", operation=Operation("v2_ready", "Can it answer now?", "protocols", _OPENAPI))
    async def open_inference_ready(self, http: HttpRequest) -> HttpReply:
        """Whether every model can answer now, as the Open Inference Protocol has it."""
        # Some clients read the key `live`, others `ready`; the specification has the one in its text for the other.
        try:
            self._state.require_ready()
        except Unavailable as error:
            reply = refused(error, http.path, http.headers)
            body = {"live": True, "ready": False, "error": error.message}
            return msgspec.structs.replace(reply, body=msgspec.json.encode(body))
        return HttpReply(200, b'{"live":true,"ready":true}', checked_id(http.headers))
