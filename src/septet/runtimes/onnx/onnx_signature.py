"""Builds the signature of an ONNX model: its inputs and outputs as the engine declares them, and their columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from septet.errors import UnsupportedModel
from septet.model.signature import Column, Signature, Tensor
from septet.runtimes.onnx.onnx_categories import EncoderCategories, categories
from septet.runtimes.onnx.onnx_graph import Graph
from septet.runtimes.onnx.onnx_roles import listed, roles
from septet.runtimes.onnx.onnx_shapes import GraphOutput, Shapes
from septet.runtimes.onnx.onnx_zipmaps import zipmaps

_COLUMN_KEYS = ("feature_names", "columns", "input_columns")
_DTYPES = {
    "bool": "bool",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "float16": "float16",
    "float": "float32",
    "double": "float64",
    "string": "string",
}
_MATRIX_RANK = 2
#: A row of more values has no columns unless the file names them: a column takes about 200 bytes, its value often 4.
MOST_UNNAMED_COLUMNS = 100_000


class Argument(Protocol):
    """An input or output as onnxruntime describes it: `type` such as `tensor(float)`; free sizes are names or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def _element(path: Path, argument: Argument, side: str, prefix: str = "tensor(") -> str:
    """The dtype of a tensor, or of the tensors of a sequence."""
    element = argument.type.removeprefix(prefix).rstrip(")")
    if not argument.type.startswith(prefix):
        kind = argument.type.partition("(")[0].replace("seq", "sequence").replace("_", " ")
        message = (
            f"{path}: {side} {argument.name!r} is a {kind} ({argument.type}), and only tensors can be served. Export "
            f"the model with plain tensors as inputs and outputs."
        )
        raise UnsupportedModel(message)
    if element not in _DTYPES:
        message = (
            f"{path}: {side} {argument.name!r} holds {element}, for which numpy and JSON have no type. Cast it to "
            f"float32 inside the model and export it again."
        )
        raise UnsupportedModel(message)
    return _DTYPES[element]


def _sizes(argument: Argument) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in argument.shape)


def inputs(path: Path, arguments: Sequence[Argument], graph: Graph) -> list[Tensor]:
    """Return the inputs, still without columns.

    Raises:
        UnsupportedModel: one is no tensor, of a type that cannot be served, or without a shape; or there are none.
    """
    unshaped = {value.name for value in graph.inputs if not value.shaped}
    tensors = []
    for argument in arguments:
        dtype = _element(path, argument, "input")
        if argument.name in unshaped:
            message = (
                f"{path}: input {argument.name!r} declares no shape, so requests cannot be checked. Export the model "
                f"with a shape such as [None, 4]."
            )
            raise UnsupportedModel(message)
        tensors.append(Tensor(argument.name, dtype, _sizes(argument)))
    if not tensors:
        message = f"{path}: the model has no inputs, so there is nothing to ask it"
        raise UnsupportedModel(message)
    return tensors


def outputs(path: Path, arguments: Sequence[Argument]) -> list[GraphOutput]:
    """Return the outputs as declared.

    Raises:
        UnsupportedModel: one is neither a tensor nor a sequence of tensors, or of a type that cannot be served.
    """
    declared = []
    for argument in arguments:
        sequence = argument.type.startswith("seq(tensor(")
        dtype = _element(path, argument, "output", "seq(tensor(" if sequence else "tensor(")
        # The engine shows an unknown rank as that of a scalar.
        shape = None if sequence else _sizes(argument) or None
        declared.append(GraphOutput(argument.name, dtype, shape, sequence))
    return declared


def signature(graph: Graph, shapes: Shapes) -> Signature:
    """Return the signature; `shapes` are settled."""
    zipped = {name: node.classes for name, node in zipmaps(graph).items()}
    found = roles(graph, shapes.outputs, zipped)
    return Signature(
        kind=found.kind,
        inputs=_with_columns(graph, shapes),
        outputs=tuple(_as_wide_as(tensor, len(zipped.get(tensor.name, ()))) for tensor in shapes.outputs),
        rows=shapes.rows,
        label=found.label,
        scores=found.scores,
        labels=found.labels,
        classes=found.classes,
    )


def _as_wide_as(tensor: Tensor, classes: int) -> Tensor:
    """The tensor of a ZipMap with the width that ZipMap demands, where the graph leaves it open."""
    if classes and tensor.shape[1:] == (None,):
        return Tensor(tensor.name, tensor.dtype, (tensor.shape[0], classes))
    return tensor


def _with_columns(graph: Graph, shapes: Shapes) -> tuple[Tensor, ...]:
    widths = [_columns_of(tensor) if shapes.rows else None for tensor in shapes.inputs]
    known = [width for width in widths if width is not None]
    names = listed(graph.metadata, _COLUMN_KEYS, sum(known)) if len(known) == len(widths) else ()
    listing = categories(graph, shapes.inputs)
    tensors, start = [], 0
    for tensor, width in zip(shapes.inputs, widths, strict=True):
        count = width or 0
        own = names[start : start + count]
        if not own and (count <= MOST_UNNAMED_COLUMNS or any(name == tensor.name for name, _ in listing)):
            own = _own_names(tensor.name, count)
        start += count
        columns = tuple(_column(name, tensor.dtype, listing.get((tensor.name, at))) for at, name in enumerate(own))
        tensors.append(Tensor(tensor.name, tensor.dtype, tensor.shape, columns))
    return tuple(tensors)


def _column(name: str, dtype: str, known: EncoderCategories | None) -> Column:
    if known is None:
        return Column(name, dtype)
    return Column(name, dtype, categories=known.values, other_categories=not known.closed)


def _columns_of(tensor: Tensor) -> int | None:
    """How many values a row of it has, where it has columns."""
    if len(tensor.shape) == 1:
        return 1
    return tensor.shape[1] if len(tensor.shape) == _MATRIX_RANK else None


def _own_names(name: str, width: int) -> tuple[str, ...]:
    return (name,) if width == 1 else tuple(f"{name}_{index}" for index in range(width))
