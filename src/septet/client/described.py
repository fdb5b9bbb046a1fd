"""A model as its server describes it, compiled into what its callers need: how data is taken, how answers are shown."""

from typing import Any

import msgspec

from septet.client.intake import Intake
from septet.client.shown import Shown
from septet.errors import SeptetError
from septet.model.signature import Column, Kind, Scalar, Signature, Tensor


class _Tensor(msgspec.Struct):
    name: str
    dtype: str
    shape: list[int]


class _Limits(msgspec.Struct):
    max_rows: int


class _Metadata(msgspec.Struct):
    """The keys of `/metadata` that a client needs."""

    name: str
    digest: str
    kind: Kind
    rows: bool
    inputs: list[_Tensor]
    outputs: list[_Tensor]
    columns: list[Column]
    label: str | None
    scores: str | None
    labels: list[str]
    classes: list[Scalar]
    limits: _Limits


class Model(msgspec.Struct, frozen=True):
    """One model on a server. `digest` tells whether it is still the same one."""

    name: str
    digest: str
    signature: Signature
    intake: Intake
    shown: Shown


def model(metadata: dict[str, Any]) -> Model:
    """Compile a description.

    Raises:
        SeptetError: it lacks something; the server may be another program, or another version.
    """
    try:
        said = msgspec.convert(metadata, _Metadata)
        signature = _signature(said)
        intake = Intake(signature, max_rows=said.limits.max_rows)
    except (msgspec.ValidationError, KeyError, StopIteration) as error:
        text = f"The server's description of its model is not one that this version reads: {error}"
        raise SeptetError(text) from error
    return Model(said.name, said.digest, signature, intake, Shown(signature))


def _signature(said: _Metadata) -> Signature:
    columns = iter(said.columns)
    inputs = tuple(
        Tensor(each.name, each.dtype, _shape(each), tuple(next(columns) for _ in range(_width(each, said.columns))))
        for each in said.inputs
    )
    outputs = tuple(Tensor(each.name, each.dtype, _shape(each)) for each in said.outputs)
    labels, classes = tuple(said.labels), tuple(said.classes)
    return Signature(said.kind, inputs, outputs, said.rows, said.label, said.scores, labels, classes)


def _shape(tensor: _Tensor) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else size for size in tensor.shape)


def _width(tensor: _Tensor, columns: list[Column]) -> int:
    """How many of the columns are this input's; either each input has some, or none has."""
    if not columns:
        return 0
    return 1 if len(tensor.shape) == 1 else tensor.shape[1]
