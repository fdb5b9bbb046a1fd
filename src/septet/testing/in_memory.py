"""A service without a model, and the application that serves it, with every route that `septet serve` has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from septet.assembly.composition import application as install_routes
from septet.assembly.composition import layout
from septet.assembly.loading import with_middleware
from septet.events import NullObserver, Observer
from septet.model.freshness import Freshness
from septet.model.manifest import Manifest
from septet.model.sample import sample
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.asgi import Asgi
from septet.service import Service
from septet.settings import Settings
from septet.testing.predictors import IDENTITY, ConstantPredictor
from septet.types import Array, Identity, Middleware, Predictor

#: A number in column `x`, a number as the answer.
ONE_NUMBER = Signature(
    Kind.REGRESSION,
    (Tensor("x", "float64", (None, 1), (Column("x", "float64"),)),),
    (Tensor("y", "float64", (None, 1)),),
)


def service(
    signature: Signature = ONE_NUMBER,
    answer: Mapping[str, Any] | None = None,
    *,
    predictor: Predictor | None = None,
    identity: Identity = IDENTITY,
) -> Service:
    """A service of this signature that answers every row with `answer`.

    `answer` has the values of one row of each output (axis 0 of length 1); by default 0, or the empty text.
    `predictor` answers instead, where one is given.

    Raises:
        KeyError: `answer` lacks an output.
        ValueError: values are not of the output's dtype.
    """
    given = {
        each.name: _zeros(each) if answer is None else np.array(answer[each.name], DTYPES[each.dtype])
        for each in signature.outputs
    }
    return Service(
        identity=identity,
        signature=signature,
        predictor=predictor or ConstantPredictor(given, rows=signature.rows, identity=identity),
        manifest=Manifest(identity.name, identity.version, "none", "none", signature),
        sample=sample(signature),
        answer=given,
        expected=None,
        facts={},
        freshness=_unknown_age,
    )


def application(*services: Service, middleware: Sequence[Middleware] = (), observer: Observer | None = None) -> Asgi:
    """Services side by side as an ASGI application; `middleware` wraps each predictor, the first one outermost.

    Raises:
        StartupError: two services have the same name.
    """
    app = App()
    settings = Settings()
    for each in services:
        app.models.install(with_middleware(each, middleware))
    names = [each.identity.name for each in services]
    shared_metrics = SharedMetrics(layout(len(services)))
    shared_metrics.claim().count_models(names)
    install_routes(app, settings, observer or NullObserver(), shared_metrics.snapshot, names)
    return Asgi(app, max_body_bytes=settings.limits.max_body_bytes)


def _zeros(tensor: Tensor) -> Array:
    shape = tuple(1 if size is None else size for size in tensor.shape)
    return np.full(shape, "" if tensor.dtype == "string" else 0, DTYPES[tensor.dtype])


def _unknown_age() -> Freshness:
    return Freshness("unknown", None, "no model was trained")
