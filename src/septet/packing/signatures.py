"""Signatures of packages: the model's own, completed by its trainer's statement and by the data."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.labels import with_labels
from septet.model.layout import arranged
from septet.model.signature import Column, Signature, Tensor
from septet.model.values import dtype_name
from septet.packing.provenance import Statement
from septet.packing.training_table import TrainingTable, require_types
from septet.types import Tensors


def declared(signature: Signature, statement: Statement) -> Signature:
    """The signature with the labels, nullable columns and ranges of the statement.

    Raises:
        LabelsMismatch: the labels do not fit the model's output.
        PackageInvalid: the statement names a column that the model does not have.
    """
    signature = named(signature, statement)
    columns = {column.name: column for column in declared_columns(signature.columns, statement)}
    inputs = tuple(
        msgspec.structs.replace(tensor, columns=tuple(columns.get(each.name, each) for each in tensor.columns))
        for tensor in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)


def named(signature: Signature, statement: Statement) -> Signature:
    """The signature with the labels of the statement.

    Raises:
        LabelsMismatch: they do not fit the model's output.
    """
    labels = statement.labels
    if labels is None:
        return signature
    names: Any = (
        {str(key): str(value) for key, value in labels.items()}
        if isinstance(labels, Mapping)
        else tuple(str(label) for label in labels)
    )
    return with_labels(signature, names, "labels")


def declared_columns(columns: tuple[Column, ...], statement: Statement) -> tuple[Column, ...]:
    """Columns with the nullability and the ranges of the statement.

    Raises:
        PackageInvalid: the statement names a column that there is not.
    """
    known = {column.name for column in columns}
    for argument, names in (("nullable", statement.nullable or ()), ("ranges", statement.ranges)):
        strange = [name for name in names if name not in known]
        if strange:
            raise PackageInvalid(
                f"{argument} names {', '.join(map(repr, strange))}; the columns are {', '.join(sorted(known))}"
            )
    for name, bounds in statement.ranges.items():
        if len(tuple(bounds)) != 2 or not all(bound is None or _is_number(bound) for bound in bounds):  # noqa: PLR2004
            raise PackageInvalid(
                f"the range of {name!r} is {bounds!r}; give (lowest, highest), either of them a number or None"
            )
    return tuple(_declared(column, statement) for column in columns)


def _plain(bound: Any) -> Any:
    return bound.item() if isinstance(bound, np.generic) else bound


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _declared(column: Column, statement: Statement) -> Column:
    low, high = statement.ranges.get(column.name, (column.minimum, column.maximum))
    stated = column.nullable if statement.nullable is None else column.name in statement.nullable
    return msgspec.structs.replace(
        column, nullable=stated or column.optional, minimum=_plain(low), maximum=_plain(high)
    )


def as_compiled(native: Signature, compiled: Signature) -> Signature:
    """The native signature with the tensors of the compiled model, in which no text that is read can be missing."""
    inputs = {tensor.name: tensor.dtype for tensor in native.inputs}
    inputs |= {tensor.name: tensor.dtype for tensor in compiled.inputs}
    outputs = {tensor.name: tensor.dtype for tensor in compiled.outputs}
    return msgspec.structs.replace(
        native,
        inputs=tuple(_typed(tensor, inputs[tensor.name]) for tensor in native.inputs),
        outputs=tuple(_typed(tensor, outputs[tensor.name]) for tensor in native.outputs),
    )


def _typed(tensor: Tensor, dtype: str) -> Tensor:
    # A column of whole numbers or booleans stays one, whatever float carries it.
    floats = dtype.startswith("float")
    columns = tuple(
        msgspec.structs.replace(
            column,
            dtype=dtype if floats and column.dtype.startswith("float") else column.dtype,
            nullable=column.nullable and (dtype != "string" or column.optional),
        )
        for column in tensor.columns
    )
    return msgspec.structs.replace(tensor, dtype=dtype, columns=columns)


def raw_inputs(rows: TrainingTable) -> tuple[Tensor, ...]:
    """Inputs that describe raw training data, for preprocessing code that makes the model's own from them.

    Raises:
        Invalid: a column holds values that no request can carry.
    """
    require_types(rows.columns)
    columns = [msgspec.structs.replace(given.column, pandas_dtype=None) for given in rows.columns]
    return arranged(columns, {given.name for given in rows.columns if given.wide})


def finished(signature: Signature, answer: Tensors) -> Signature:
    """The signature with the outputs that its postprocessing really gave; roles stay where their output does."""
    return signature.with_outputs(
        tuple(Tensor(name, dtype_name(array), (None, *array.shape[1:])) for name, array in answer.items())
    )


def without_unseen_missing(signature: Signature, tensors: Tensors) -> Signature:
    """The signature with missing numbers refused in the columns of `tensors` that have none."""
    inputs = []
    for tensor in signature.inputs:
        array = tensors[tensor.name].reshape(-1, max(len(tensor.columns), 1))
        columns = (
            msgspec.structs.replace(column, nullable=bool(np.isnan(array[:, place]).any()))
            if column.nullable and not column.optional and tensor.dtype.startswith("float")
            else column
            for place, column in enumerate(tensor.columns)
        )
        inputs.append(msgspec.structs.replace(tensor, columns=tuple(columns)))
    return msgspec.structs.replace(signature, inputs=tuple(inputs))
