"""Which tensors carry which columns."""

from collections.abc import Collection, Sequence

from septet.model.signature import Column, Tensor

#: The tensor that carries several columns of one kind.
MATRIX = "input"


def arranged(columns: Sequence[Column], wide: Collection[str] = ()) -> tuple[Tensor, ...]:
    """The tensors for columns, in their order.

    Numbers and booleans travel as one matrix of floats, texts as one of strings. Where texts or moments stand beside
    other columns, each column has a tensor of its own; so it is where one is in `wide`: the names of the columns of
    whole numbers that float64 does not hold exactly. Bytes always have one of their own, with one axis.
    """
    if not columns:
        return (Tensor(MATRIX, "float64", (None, None)),)
    dtypes = {column.dtype for column in columns}
    if dtypes == {"string"} and not any(column.optional for column in columns):
        return (_matrix("string", columns),)
    if any(dtype in ("string", "bytes") or dtype.startswith("datetime64") for dtype in dtypes):
        return tuple(_alone(column) for column in columns)
    if any(column.name in wide and not column.nullable for column in columns):
        return tuple(_alone(column) for column in columns)
    dtype = "float32" if dtypes == {"float32"} else "float64"
    return (_matrix(dtype, columns),)


def _matrix(dtype: str, columns: Sequence[Column]) -> Tensor:
    return Tensor(MATRIX, dtype, (None, len(columns)), tuple(columns))


def _alone(column: Column) -> Tensor:
    if column.dtype == "bytes":
        return Tensor(column.name, "bytes", (None,), (column,))
    whole = column.dtype == "bool" or column.dtype.startswith(("int", "uint"))
    # Only floats have a missing value. The converter to ONNX knows no encoder of booleans.
    listed = column.dtype == "bool" and column.categories is not None
    dtype = "float64" if whole and (column.nullable or listed) else column.dtype
    return Tensor(column.name, dtype, (None, 1), (column,))
