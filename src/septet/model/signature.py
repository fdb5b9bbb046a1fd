"""What a model takes and gives: one definition in two forms, named columns and named tensors.

It drives validation, `/metadata`, OpenAPI, the try-out page and every codec. Nothing else in Septet states a
dtype or a shape a second time.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec
import numpy as np

Scalar: TypeAlias = str | int | float | bool


class Kind(StrEnum):
    """What the model does, which decides the shape of an answer that its user expects."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    CLUSTERING = "clustering"
    OUTLIERS = "outliers"
    TRANSFORM = "transform"
    TENSORS = "tensors"


# numpy names; `string` is an object array of str, `bytes` is not a separate type (Open Inference BYTES carries both).
# A moment is written as ISO 8601 text wherever it leaves the process; missing ones are NaT.
DTYPES: dict[str, np.dtype[np.generic]] = {
    "bool": np.dtype(np.bool_),
    "uint8": np.dtype(np.uint8),
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "int8": np.dtype(np.int8),
    "int16": np.dtype(np.int16),
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "float16": np.dtype(np.float16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "string": np.dtype(object),
    **{f"datetime64[{unit}]": np.dtype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
}


class Column(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One named value of a row.

    Attributes:
        name: as the caller writes it in a record.
        dtype: a key of `DTYPES`: what the caller sends. The tensor that carries the column may have another one: a
            matrix of floats carries columns of whole numbers (as the same number) and of booleans (as 0 and 1).
        nullable: whether null (JSON), an empty cell (CSV) or NaN is accepted. A missing value is NaN in a tensor of
            floats, None in one of texts and NaT in one of moments; no other tensor carries a nullable column.
        optional: whether a record may leave the column out: the model does not read it. It is nullable, too.
        timezone: of a moment: the name of the zone that the training data had. Then a value must say its offset, and
            the tensor holds UTC; without a zone a value must not.
        pandas_dtype: of a model that is fitted on a DataFrame: the dtype that the column had there, as pandas writes
            it (`Int64`, `boolean`, `string`, `category`, `category[ordered]`, `int32`, `datetime64[ns, UTC]`). A
            category's values are `categories`, in their order.
        minimum, maximum: inclusive bounds outside which a value is refused, in the column's own unit.
        categories: the values known to the model, or None where they are not known.
        other_categories: whether values outside `categories` are accepted.
        unit: the unit of measure, for people.
    """

    name: str
    dtype: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Scalar, ...] | None = None
    other_categories: bool = False
    unit: str | None = None
    optional: bool = False
    timezone: str | None = None
    pandas_dtype: str | None = None


class Tensor(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One named array. `shape` has None for a free dimension; axis 0 is the row where the signature has rows.

    `dtype` is that of the array: it holds every value of the columns exactly, whatever their own dtypes.
    `columns` name the values of a row: of shape [None, n], n of them; of shape [None] or [None, 1], one.
    An empty tuple means that the tensor has no columns (rank 3 and above, or a free width).
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    columns: tuple[Column, ...] = ()


class Signature(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A model's inputs and outputs, and the roles that its outputs play.

    Attributes:
        kind: what the model does.
        inputs, outputs: tensors, in the model's own order.
        rows: whether axis 0 of every tensor is the row, free for the caller to choose. Where it is False a request
            is one unit: its tensors have just the declared shapes and nothing is merged, split or counted.
        label: the output that holds the chosen class of a row (or 0/1 per label, where multilabel), or None.
        scores: the output that holds one score per class, shape [None, classes], or None.
        labels: the classes in the order of the columns of `scores`, as shown to people; empty where unknown.
        classes: the raw values of the output `label` in the same order, where they are not `labels` themselves.
    """

    kind: Kind
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    rows: bool = True
    label: str | None = None
    scores: str | None = None
    labels: tuple[str, ...] = ()
    classes: tuple[Scalar, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every input's columns, in order; empty unless each input has columns."""
        if not all(tensor.columns for tensor in self.inputs):
            return ()
        return tuple(column for tensor in self.inputs for column in tensor.columns)
