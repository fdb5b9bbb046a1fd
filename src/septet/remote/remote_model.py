"""A model as its server describes it: Septet in full, other servers by the tensors that the protocol tells."""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from septet.errors import SeptetError
from septet.model.signature import Column, Kind, Scalar, Signature, Tensor
from septet.protocols.openinference.datatypes import dtype_of
from septet.types import Identity

UNKNOWN_VERSION = "0"


class RemoteModel(msgspec.Struct, frozen=True):
    """One model on a server.

    Attributes:
        identity: the digest tells whether it is still the same one; it is empty where the server gives none.
        signature: what it takes and gives.
        max_rows: of a request, as far as the server tells.
    """

    identity: Identity
    signature: Signature
    max_rows: int = sys.maxsize


class _SeptetTensor(msgspec.Struct):
    name: str
    dtype: str
    shape: list[int]


class _RowLimit(msgspec.Struct):
    max_rows: int


class _SeptetMetadata(msgspec.Struct):
    """The keys of `/metadata` that make up a signature."""

    name: str
    version: str
    digest: str
    kind: Kind
    rows: bool
    inputs: list[_SeptetTensor]
    outputs: list[_SeptetTensor]
    columns: list[Column]
    label: str | None
    scores: str | None
    labels: list[str]
    classes: list[Scalar]
    limits: _RowLimit


class _ProtocolTensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]


class _ProtocolMetadata(msgspec.Struct):
    name: str
    versions: list[str] | None = None
    inputs: list[_ProtocolTensor] | None = None
    outputs: list[_ProtocolTensor] | None = None


def septet_model(metadata: Mapping[str, Any]) -> RemoteModel:
    """The model that Septet's `/metadata` describes.

    Raises:
        SeptetError: something is missing; the server may be another program, or another version.
    """
    try:
        found = msgspec.convert(metadata, _SeptetMetadata)
        signature = _septet_signature(found)
    except (msgspec.ValidationError, KeyError, StopIteration) as error:
        text = f"The server's description of its model is not one that this version reads: {error}"
        raise SeptetError(text) from error
    return RemoteModel(Identity(found.name, found.version, found.digest), signature, found.limits.max_rows)


def protocol_model(metadata: Mapping[str, Any], signature: Signature | None = None) -> RemoteModel:
    """The model that the metadata of the Open Inference Protocol describes; `signature` is taken where it is known.

    Rows are known where the first size of every tensor is free.

    Raises:
        SeptetError: the server says no inputs or outputs, or has types that Septet does not know.
    """
    try:
        found = msgspec.convert(metadata, _ProtocolMetadata)
        known = signature or _protocol_signature(found)
    except msgspec.ValidationError as error:
        raise SeptetError(f"The server's metadata is not that of the Open Inference Protocol: {error}") from error
    version = found.versions[-1] if found.versions else UNKNOWN_VERSION
    return RemoteModel(Identity(found.name, version, ""), known)


def _septet_signature(found: _SeptetMetadata) -> Signature:
    columns = iter(found.columns)
    inputs = tuple(
        Tensor(each.name, each.dtype, _shape(each.shape), tuple(next(columns) for _ in range(width)))
        for each in found.inputs
        for width in (_width(each, found.columns),)
    )
    outputs = tuple(Tensor(each.name, each.dtype, _shape(each.shape)) for each in found.outputs)
    labels, classes = tuple(found.labels), tuple(found.classes)
    return Signature(found.kind, inputs, outputs, found.rows, found.label, found.scores, labels, classes)


def _protocol_signature(found: _ProtocolMetadata) -> Signature:
    if not found.inputs or not found.outputs:
        what = "inputs" if not found.inputs else "outputs"
        raise SeptetError(f"The server does not say which {what} its model {found.name!r} has: give a signature.")
    inputs, outputs = (
        tuple(Tensor(each.name, dtype_of(each.datatype, each.name), _shape(each.shape)) for each in tensors)
        for tensors in (found.inputs, found.outputs)
    )
    rows = all(each.shape and each.shape[0] is None for each in inputs + outputs)
    return Signature(Kind.TENSORS, inputs, outputs, rows)


def _shape(sizes: list[int]) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else size for size in sizes)


def _width(tensor: _SeptetTensor, columns: list[Column]) -> int:
    """How many of the columns are this input's; either each input has some, or none has."""
    if not columns:
        return 0
    return 1 if len(tensor.shape) == 1 else tensor.shape[1]
