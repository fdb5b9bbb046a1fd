"""Inputs that grow: what a caller, or the author of a file, may send twice as much of; see `complexity`."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from septet.assembly.composition import application, layout
from septet.errors import SeptetError
from septet.events import NullObserver
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.settings import Settings
from septet.testing import service

#: Does the work once.
Work = Callable[[], object]


@dataclass(frozen=True)
class GrowingInput:
    """One kind of input.

    Attributes:
        name: what there is more and more of.
        of: makes the work for so many of it.
        least: how many of it the work is measured with at first.
        most: no more is measured, for beyond that it is refused unread.
    """

    name: str
    of: Callable[[int], Work]
    least: int = 1000
    most: int = 1 << 20


def matrix(width: int, *, outputs: int = 1, dtype: str = "float32") -> Signature:
    """A model of so many columns in one input, which answers so many numbers."""
    columns = tuple(Column(f"c{at}", dtype) for at in range(width))
    tensor = Tensor("x", dtype, (None, width), columns)
    return Signature(Kind.TRANSFORM, (tensor,), (Tensor("y", "float32", (None, outputs)),))


def separate(width: int, dtype: str = "float32") -> Signature:
    """A model of so many inputs of one column each, and as many outputs."""
    inputs = tuple(Tensor(f"c{at}", dtype, (None, 1), (Column(f"c{at}", dtype),)) for at in range(width))
    return Signature(Kind.TENSORS, inputs, tuple(Tensor(f"y{at}", "float32", (None, 1)) for at in range(width)))


def texts() -> Signature:
    """A model of one column of texts."""
    tensor = Tensor("x", "string", (None, 1), (Column("x", "string"),))
    return Signature(Kind.TRANSFORM, (tensor,), (Tensor("y", "float32", (None, 1)),))


def classifier(count: int) -> Signature:
    """A model of two columns and so many classes that are numbers."""
    tensor = Tensor("x", "float32", (None, 2), (Column("a", "float32"), Column("b", "float32")))
    outputs = (Tensor("label", "int64", (None,)), Tensor("scores", "float32", (None, count)))
    names = tuple(f"class {at}" for at in range(count))
    return Signature(
        Kind.CLASSIFICATION,
        (tensor,),
        outputs,
        label="label",
        scores="scores",
        labels=names,
        classes=tuple(range(count)),
    )


def server(signature: Signature) -> App:
    """An application that serves a model of this signature, which answers zeros."""
    app, made = App(), service(signature)
    app.models.install(made)
    shared = SharedMetrics(layout(1))
    shared.claim().count_models([made.identity.name])
    application(app, Settings(), NullObserver(), shared.snapshot, [made.identity.name])
    return app


def asked(signature: Signature, path: str, body: bytes, kind: bytes = b"application/json", status: int = 200) -> Work:
    """Ask a server; the answer must have this status, or the work would be another one."""
    app, headers = server(signature), {b"content-type": kind}

    def work() -> None:
        replies: list[HttpReply] = []
        target, _, query = path.partition("?")
        app.answer(HttpRequest("POST", target, query.encode(), headers, body), replies.append)
        if replies[0].status != status:
            raise AssertionError(f"{replies[0].status}, not {status}: {replies[0].body[:300]!r}")

    return work


def refused(work: Callable[[], object]) -> Work:
    """Work that ends in an error of Septet's own."""

    def refusing() -> None:
        try:
            work()
        except SeptetError:
            return
        raise AssertionError("it was not refused")

    return refusing


def as_json(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


def rows_of(count: int, width: int = 4) -> list[list[float]]:
    """Rows of numbers."""
    return [[0.5 * at for at in range(width)]] * count


def names_of(count: int) -> list[str]:
    """The names of the columns of a model of so many."""
    return [f"c{at}" for at in range(count)]


def strange_keys(count: int, value: object = 0) -> dict[str, object]:
    """An object of so many keys that nobody knows."""
    return {f"k{at}": value for at in range(count)}


FOUR = matrix(4)
#: Models whose rows have any number of values.
FREE, FREE_WHOLES = (
    Signature(Kind.TENSORS, (Tensor("x", dtype, (None, None)),), (Tensor("y", "float32", (None, 1)),))
    for dtype in ("float32", "int64")
)
