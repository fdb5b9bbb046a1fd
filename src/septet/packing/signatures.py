"""Signatures of packages: what the model says of itself, with what its trainer and the data say besides."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.labels import with_labels
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.packing.provenance import Statement
from septet.packing.rows import named_columns
from septet.types import Array, Tensors


def declared(signature: Signature, statement: Statement) -> Signature:
    """The signature with the labels, nullable columns and ranges of the statement.

    Raises:
        LabelsMismatch: the labels do not fit the model's output.
        PackageInvalid: the statement names a column that the model does not have.
    """
    labels = statement.labels
    if labels is not None:
        named: Any = (
            {str(key): str(value) for key, value in labels.items()}
            if isinstance(labels, Mapping)
            else tuple(str(label) for label in labels)
        )
        signature = with_labels(signature, named, "labels")
    known = {column.name for column in signature.columns}
    for argument, names in (("nullable", statement.nullable or ()), ("ranges", statement.ranges)):
        strange = [name for name in names if name not in known]
        if strange:
            raise PackageInvalid(
                f"{argument} names {', '.join(map(repr, strange))}; the columns are {', '.join(sorted(known))}"
            )
    inputs = tuple(
        msgspec.structs.replace(tensor, columns=tuple(_declared(column, statement) for column in tensor.columns))
        for tensor in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)


def _declared(column: Column, statement: Statement) -> Column:
    low, high = statement.ranges.get(column.name, (column.minimum, column.maximum))
    nullable = column.nullable if statement.nullable is None else column.name in statement.nullable
    return msgspec.structs.replace(column, nullable=nullable, minimum=low, maximum=high)


def as_compiled(native: Signature, compiled: Signature) -> Signature:
    """The native signature with the dtypes of the compiled model, in which no text can be missing."""
    inputs = {tensor.name: tensor.dtype for tensor in native.inputs}
    inputs |= {tensor.name: tensor.dtype for tensor in compiled.inputs}
    outputs = {tensor.name: tensor.dtype for tensor in compiled.outputs}
    # ONNX classifiers have no classes of bool: they answer 0 and 1.
    whole = native.label is not None and outputs[native.label] == "int64"
    return msgspec.structs.replace(
        native,
        classes=tuple(int(value) for value in native.classes) if whole else native.classes,
        inputs=tuple(_typed(tensor, inputs[tensor.name]) for tensor in native.inputs),
        outputs=tuple(_typed(tensor, outputs[tensor.name]) for tensor in native.outputs),
    )


def _typed(tensor: Tensor, dtype: str) -> Tensor:
    # A column keeps a dtype of its own, such as that of whole numbers in a matrix of floats.
    columns = tuple(
        msgspec.structs.replace(
            column,
            dtype=dtype if column.dtype == tensor.dtype else column.dtype,
            nullable=column.nullable and (dtype != "string" or column.optional),
        )
        for column in tensor.columns
    )
    return msgspec.structs.replace(tensor, dtype=dtype, columns=columns)


def raw_inputs(data: Any) -> tuple[Tensor, ...]:
    """Inputs that describe raw training data: one matrix where all columns have one dtype, else one per column."""
    columns = [_raw(name, values) for name, values in named_columns(data).items()]
    dtypes = {column.dtype for column in columns}
    if dtypes == {"float64", "int64"}:
        columns = [msgspec.structs.replace(column, dtype="float64") for column in columns]
        dtypes = {"float64"}
    if len(dtypes) == 1:
        return (Tensor("input", dtypes.pop(), (None, len(columns)), tuple(columns)),)
    return tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in columns)


def _raw(name: str, values: Array) -> Column:
    if values.dtype == object:
        return Column(name, "string", nullable=any(value is None for value in values))
    dtype = {"f": "float64", "b": "bool"}.get(values.dtype.kind, "int64")
    return Column(name, dtype, nullable=dtype == "float64" and bool(np.isnan(values).any()))


def finished(signature: Signature, answer: Tensors) -> Signature:
    """The signature with the outputs that its postprocessing really gave; roles stay where their output does."""
    outputs = tuple(
        Tensor(name, "string" if array.dtype == object else array.dtype.name, (None, *array.shape[1:]))
        for name, array in answer.items()
    )
    if outputs == signature.outputs:
        return signature
    roles = {"label": signature.label, "scores": signature.scores}
    kept = {role: name if name in answer else None for role, name in roles.items()}
    whole = kept == roles and (signature.label is not None or {t.name for t in signature.outputs} == set(answer))
    kind = signature.kind if whole else Kind.TENSORS
    return msgspec.structs.replace(signature, kind=kind, outputs=outputs, **kept)
