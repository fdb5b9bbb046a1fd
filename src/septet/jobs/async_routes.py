"""The routes of a model that answer with a ticket, whatever the caller prefers."""

from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.http.routes import Encode, Operation, predicts
from septet.protocols.native.native_routes import NativeRoutes
from septet.registry import ServedModel
from septet.types import Request

_OPENAPI = "septet.jobs.jobs_openapi"


class AsyncRoutes:
    """`/predict/async`, for one service: what `native` reads there, a worker answers."""

    def __init__(self, native: NativeRoutes) -> None:
        self._native = native

    @predicts(
        "/predict/async",
        operation=Operation("predict_async", "Predict rows later", "jobs", _OPENAPI),
        deferred=True,
    )
    def predict_async(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """`POST /predict/async`: as `POST /predict`, but with a ticket in place of the answer."""
        return self._native.predict(http)
