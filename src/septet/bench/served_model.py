"""What a running Septet server says of its model, read back from `/metadata`."""

import sys
from typing import Any

import msgspec

from septet.bench.address import ask
from septet.bench.load import Target
from septet.bench.requests import request_bytes
from septet.errors import Invalid, SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody
from septet.types import Tensors

OK = 200


class _DescribedTensor(msgspec.Struct):
    name: str
    dtype: str
    shape: list[int]


class _DescribedModel(msgspec.Struct):
    name: str
    version: str
    digest: str
    runtime: str
    kind: Kind
    rows: bool
    inputs: list[_DescribedTensor]
    outputs: list[_DescribedTensor]
    columns: list[Column]
    data_sample: Any
    prediction_sample: Any


class ServedDescription(msgspec.Struct, frozen=True, eq=False):
    """A model as its server describes it.

    Attributes:
        name, version, digest, runtime: as in its answers.
        signature: its inputs, outputs and columns; roles and labels are not known here.
        sample: rows that it answers, or None.
        prediction: the server's own answer to them, or None.
    """

    name: str
    version: str
    digest: str
    runtime: str
    signature: Signature
    sample: Tensors | None
    prediction: Any


def described(target: Target, prefix: str, timeout: float) -> ServedDescription:
    """Ask a server for its model; `timeout` is in seconds.

    Raises:
        Unavailable: it does not answer.
        Invalid: it is no Septet server.
    """
    status, body = ask(target, request_bytes(target, "GET", f"{prefix}/metadata", {}, b""), timeout)
    hint = "for a server that is not Septet's, give --body and --path"
    if status != OK:
        raise Invalid(f"{target.authority}{prefix}/metadata: answered with {status}; {hint}")
    try:
        found = msgspec.json.decode(body, type=_DescribedModel)
        signature = _signature(found)
        sample = None if found.data_sample is None else _sample(signature, found.data_sample)
    except (msgspec.MsgspecError, UnicodeDecodeError, SeptetError) as exc:
        raise Invalid(f"{target.authority}{prefix}/metadata: does not describe a Septet model: {exc}; {hint}") from exc
    return ServedDescription(
        found.name, found.version, found.digest, found.runtime, signature, sample, found.prediction_sample
    )


def _signature(found: _DescribedModel) -> Signature:
    columns = list(found.columns)
    inputs = []
    for tensor in found.inputs:
        width = tensor.shape[1] if len(tensor.shape) > 1 else 1
        inputs.append(_tensor(tensor, tuple(columns[:width])))
        del columns[:width]
    return Signature(found.kind, tuple(inputs), tuple(_tensor(each, ()) for each in found.outputs), found.rows)


def _tensor(tensor: _DescribedTensor, columns: tuple[Column, ...]) -> Tensor:
    return Tensor(tensor.name, tensor.dtype, tuple(None if size < 0 else size for size in tensor.shape), columns)


def _sample(signature: Signature, sample: Any) -> Tensors:
    key = "inputs" if isinstance(sample, dict) else "data"
    return JsonBody(signature, max_rows=sys.maxsize)(msgspec.json.encode({key: sample})).tensors
