"""Services of every kind of model, without a model: what describes them needs only their records."""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from septet.assembly.composition import MODEL_OWNERS, SERVER_OWNERS
from septet.events import NullObserver, Observer
from septet.model.freshness import Freshness
from septet.model.golden import Golden
from septet.model.manifest import Data, Manifest, Parity, Training
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Decode, DocumentedRoute, Encode, answers, documented_paths, predicts
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openapi.openapi_document import openapi
from septet.protocols.openinference.grpc_service import GrpcService
from septet.registry import Models, ServedModel
from septet.service import Service
from septet.settings import Limits
from septet.testing import ConstantPredictor
from septet.types import Identity, Request, Response, Tensors

LIMITS = Limits(max_rows=1000, max_body_bytes=1_000_000)
IDENTITY = Identity("iris", "1.2.0", "sha256:" + "a1" * 32)
FRESH = Freshness("fresh", 24, "the training data ends on 2026-10-31, 24 days ago")


def columns(count: int, dtype: str = "float32") -> tuple[Column, ...]:
    """Columns named c0, c1 ..."""
    return tuple(Column(f"c{i}", dtype) for i in range(count))


def array(tensor: Tensor, values: Any) -> np.ndarray[Any, Any]:
    """Values as one array of the tensor's dtype."""
    return np.array(values, DTYPES[tensor.dtype])


def reply(service: Service, decode: Decode, http: HttpRequest) -> HttpReply:
    """What a route that predicts answers; its errors are raised."""
    _, request, encode = decode(http)
    return answered(service, request, encode)


def answered(service: Service, request: Request, encode: Encode) -> HttpReply:
    """The same for a request that is decoded."""
    return encode(request, asyncio.run(_ask(service, request)))


async def _ask(service: Service, request: Request) -> Response:
    return await service.predictor.predict(request)


def request_factory(service: Service, limits: Limits = LIMITS) -> RequestFactory:
    """Makes requests for a service, as if it were served."""
    return RequestFactory(ServedModel(service), limits)


def native(service: Service, limits: Limits = LIMITS) -> NativeRoutes:
    """The native routes of a service."""
    return NativeRoutes(request_factory(service, limits))


def app(
    service: Service,
    *owners: object,
    server: Sequence[object] = (),
    observer: Observer | None = None,
    max_body_bytes: int = 1_000,
) -> App:
    """An application of one service; `owners` declare its routes, `server` those that are of no model."""
    made = App()
    made.models.install(service)
    made.install(lambda _: owners, server, observer or NullObserver(), Limits(max_body_bytes=max_body_bytes))
    return made


def document(*services: Service, limits: Limits = LIMITS, root_path: str = "") -> dict[str, Any]:
    """What `/openapi.json` says of services that are served side by side."""
    short = len(services) == 1
    operated: list[DocumentedRoute] = [
        (path, route, ServedModel(each))
        for each in services
        for kind in MODEL_OWNERS
        for path, route in documented_paths(kind, each.identity, short=short)
    ]
    operated += [(path, route, None) for kind in SERVER_OWNERS for path, route in documented_paths(kind)]
    found: dict[str, Any] = openapi(operated, services, limits=limits, root_path=root_path)
    return found


def owner(*routes: tuple[str, str, Handle]) -> object:
    """An object that declares routes: of each the HTTP method, the path and what answers it."""
    return _owner([(answers(method, path), handle) for method, path, handle in routes])


def decoder(path: str, decode: Decode) -> object:
    """An object that declares one route that predicts."""
    return _owner([(predicts(path), decode)])


def _owner(routes: Sequence[tuple[Callable[[Any], Any], Callable[[HttpRequest], Any]]]) -> object:
    members: dict[str, Any] = {}
    for at, (declare, handle) in enumerate(routes):

        def answer(_: object, http: HttpRequest, handle: Callable[[HttpRequest], Any] = handle) -> Any:
            return handle(http)

        answer.__name__ = f"route_{at}"
        members[answer.__name__] = declare(answer)
    made: object = type("Declared", (), members)()
    return made


def calls(service: Service, limits: Limits = LIMITS) -> GrpcService:
    """The gRPC methods of a service."""
    served = Models()
    served.install(service)
    return GrpcService(served, limits, lambda _: None, lambda: True)


def service(signature: Signature, sample: Mapping[str, Any], answer: Mapping[str, Any], **more: Any) -> Service:
    """A service that answers every row with `answer`."""
    taken: Tensors = {each.name: array(each, sample[each.name]) for each in signature.inputs}
    given: Tensors = {each.name: array(each, answer[each.name]) for each in signature.outputs}

    manifest = Manifest("iris", "1.2.0", "onnx", "iris.onnx", signature, **more)
    return Service(
        IDENTITY,
        signature,
        ConstantPredictor(given, rows=signature.rows, identity=IDENTITY),
        manifest,
        sample=taken,
        answer=given,
        expected=Golden(taken, given, 1e-5, 1e-4),
        facts={},
        freshness=lambda: FRESH,
    )


def classifier(width: int = 4) -> Service:
    """Named columns, scores, labels."""
    signature = Signature(
        Kind.CLASSIFICATION,
        (Tensor("X", "float32", (None, width), columns(width)),),
        (Tensor("label", "int64", (None,)), Tensor("probabilities", "float32", (None, 3))),
        label="label",
        scores="probabilities",
        labels=("setosa", "versicolor", "virginica"),
        classes=(0, 1, 2),
    )
    sample = np.linspace(0.1, 5.1, width).reshape(1, width)
    return service(signature, {"X": sample}, {"label": [0], "probabilities": [[0.9, 0.07, 0.03]]})


def mixed() -> Service:
    """One input per column, of different dtypes, with bounds, categories and nulls."""
    each = (
        Column("age", "int64", minimum=0, maximum=120, unit="years"),
        Column("fare", "float64", nullable=True, minimum=0.0),
        Column("sex", "string", categories=("female", "male")),
        Column("deck", "string", nullable=True, categories=("A", "B"), other_categories=True),
        Column("alone", "bool"),
    )
    signature = Signature(
        Kind.CLASSIFICATION,
        tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in each),
        (Tensor("label", "string", (None,)), Tensor("p", "float32", (None, 2))),
        label="label",
        scores="p",
        labels=("died", "survived"),
    )
    sample = {"age": [[29]], "fare": [[np.nan]], "sex": [["female"]], "deck": [[None]], "alone": [[True]]}
    return service(signature, sample, {"label": ["survived"], "p": [[0.2, 0.8]]})


def regressor() -> Service:
    """One column, one number."""
    signature = Signature(
        Kind.REGRESSION,
        (Tensor("X", "float64", (None, 1), columns(1, "float64")),),
        (Tensor("y", "float64", (None, 1)),),
    )
    return service(signature, {"X": [[2.5]]}, {"y": [[7.25]]})


def single_output(
    kind: Kind,
    output: Tensor,
    value: Any,
    *,
    label: bool = False,
    labels: Sequence[str] = (),
    classes: Sequence[int] = (),
) -> Service:
    """A model of two float columns and one output."""
    signature = Signature(
        kind,
        (Tensor("X", "float32", (None, 2), columns(2)),),
        (output,),
        label=output.name if label else None,
        labels=tuple(labels),
        classes=tuple(classes),
    )
    return service(signature, {"X": [[1.0, 2.0]]}, {output.name: value})


def tensors(*, rows: bool) -> Service:
    """Two tensors of rank 3 and 2 without columns, two outputs."""
    first = None if rows else 1
    signature = Signature(
        Kind.TENSORS,
        (Tensor("image", "uint8", (first, 2, 3)), Tensor("mask", "bool", (first, None))),
        (Tensor("features", "float32", (first, None, 2)), Tensor("count", "int64", (first,))),
        rows=rows,
    )
    sample = {"image": np.arange(6).reshape(1, 2, 3), "mask": [[True, False]]}
    return service(signature, sample, {"features": [[[0.5, 1.5]]], "count": [3]})


def pictures() -> Service:
    """A model that takes and gives bytes, some of which may be missing, and gives a text."""
    taken = (Column("picture", "bytes"), Column("mask", "bytes", nullable=True, max_bytes=4))
    inputs = tuple(Tensor(each.name, "bytes", (None,), (each,)) for each in taken)
    outputs = (Tensor("small", "bytes", (None,)), Tensor("text", "string", (None,)))
    sample = {"picture": [b"\x89PNG\0"], "mask": [b"\xff\0"]}
    return service(Signature(Kind.TENSORS, inputs, outputs), sample, {"small": [b"\0\xfe\0"], "text": ["é"]})


def every_kind() -> dict[str, Service]:
    """One service of each kind, by name."""
    vector = Tensor("out", "float32", (None, 3))
    return {
        "classifier": classifier(),
        "wide": classifier(300),
        "mixed": mixed(),
        "regressor": regressor(),
        "several numbers": single_output(Kind.REGRESSION, vector, [[1.0, 2.0, 3.0]]),
        "multilabel": single_output(
            Kind.MULTILABEL, Tensor("out", "int64", (None, 2)), [[1, 0]], label=True, labels=("red", "blue")
        ),
        "unnamed labels": single_output(Kind.CLASSIFICATION, Tensor("out", "int64", (None,)), [4], label=True),
        "clustering": single_output(Kind.CLUSTERING, Tensor("out", "int32", (None,)), [2], label=True),
        "outliers": single_output(Kind.OUTLIERS, Tensor("out", "int64", (None, 1)), [[-1]], label=True),
        "named outliers": single_output(
            Kind.OUTLIERS,
            Tensor("out", "int64", (None,)),
            [1],
            label=True,
            labels=("outlier", "inlier"),
            classes=(-1, 1),
        ),
        "transform": single_output(Kind.TRANSFORM, vector, [[1.0, 2.0, 3.0]]),
        "one tensor": single_output(Kind.TENSORS, vector, [[1.0, 2.0, 3.0]]),
        "tensors": tensors(rows=True),
        "pictures": pictures(),
        "one unit": tensors(rows=False),
    }


def iris() -> Service:
    """A classifier as a package describes it: bounds, units, provenance."""
    limits = {"sepal length": 20.0, "sepal width": 20.0, "petal length": 20.0, "petal width": 20.0}
    named = tuple(Column(name, "float32", minimum=0.0, maximum=high, unit="cm") for name, high in limits.items())
    signature = Signature(
        Kind.CLASSIFICATION,
        (Tensor("X", "float32", (None, 4), named),),
        (Tensor("label", "int64", (None,)), Tensor("probabilities", "float32", (None, 3))),
        label="label",
        scores="probabilities",
        labels=("setosa", "versicolor", "virginica"),
        classes=(0, 1, 2),
    )
    trained = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
    data = Data("iris", 150, None, dt.date(2026, 10, 1), dt.date(2026, 10, 31))
    return service(
        signature,
        {"X": [[5.1, 3.5, 1.4, 0.2]]},
        {"label": [0], "probabilities": [[0.9717, 0.0164, 0.0119]]},
        description="Tells three species of iris apart by the size of their flowers.",
        training=Training(trained_at=trained, algorithm="SVC", metrics={"accuracy": 0.9733}, data=data),
        parity=Parity(150, 1e-5, 1e-4, 2.3e-7),
    )
