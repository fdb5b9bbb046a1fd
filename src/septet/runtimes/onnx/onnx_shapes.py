"""Settles the shapes of an ONNX model, and where its rows lie, by running it once or twice when it is loaded.

What files declare is often incomplete (outputs without a shape) and sometimes wrong (converters that write [N, 1] for
a forest with two targets). So two and three rows of zeros are run, and a declaration that both answers contradict
gives way to them. A model that refuses zeros is taken at its word.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from math import prod
from typing import Any, TypeAlias

import msgspec
import numpy as np

from septet.model.signature import DTYPES, Tensor
from septet.types import Array, Tensors

# For free inner dimensions: 1 suits most; convolutions and poolings need room.
_INNER_SIZES = (1, 64)
_LARGEST_PROBE = 1 << 24  # values; a guess at free sizes is not worth more memory
_ROWS = (2, 3)


class RowLayout(StrEnum):
    """How an output as the engine gives it becomes one tensor whose first axis is the row."""

    AS_IS = "as it is"
    SECOND_AXIS = "rows lie on the second axis"
    STACKED = "a sequence of equal tensors, stacked on the second axis"
    DROPPED = "no tensor can be made of it"


class GraphOutput(msgspec.Struct, frozen=True):
    """An output as declared: `shape` is None where the file does not say, `sequence` where it is one of tensors."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    sequence: bool = False


class DeclaredRows(msgspec.Struct, frozen=True):
    """The rows that a graph declares.

    Attributes:
        axes: where the rows of an output lie, for each of which that is proven.
        apart: the outputs whose first dimension has another name than that of the inputs, such as the number of boxes.
        alike: whether the first dimensions of all inputs may be the same.
    """

    axes: Mapping[str, int] = {}
    apart: frozenset[str] = frozenset()
    alike: bool = True


_NOTHING = DeclaredRows()


class Shapes(msgspec.Struct, frozen=True):
    """The settled shapes. `rows` as in `Signature`; `one_by_one` where the model takes one row at a time."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layouts: Mapping[str, RowLayout]
    rows: bool
    one_by_one: bool = False


# An output's values by number of rows: an array each, or a list of arrays for a sequence.
Answers: TypeAlias = Mapping[str, Sequence[Any]]


def settle(
    inputs: Sequence[Tensor],
    outputs: Sequence[GraphOutput],
    run: Callable[[Tensors], Sequence[Any]],
    declared_rows: DeclaredRows = _NOTHING,
) -> Shapes:
    """Decide the shapes; `run` computes all outputs, in order, and raises whatever the engine raises.

    What the graph declares of the rows wins over what a run on zeros shows.
    """
    leads = {tensor.shape[0] if tensor.shape else -1 for tensor in inputs}
    if leads != {None}:
        single = leads == {1} and not any(output.name in declared_rows.apart for output in outputs)
        return _fixed(inputs, outputs, _probe(inputs, outputs, run, (1,)), single=single)
    answers = _probe(inputs, outputs, run, _ROWS)
    layouts = {output.name: _layout(output, answers.get(output.name), declared_rows) for output in outputs}
    kept = [output for output in outputs if layouts[output.name] is not RowLayout.DROPPED]
    rows = declared_rows.alike and all(
        _follows(item, answers.get(item.name), layouts[item.name], declared_rows) for item in kept
    )
    if not rows or RowLayout.AS_IS not in layouts.values():
        # Rows on the second axis are believed only beside another output that has them on the first.
        rows = rows and RowLayout.SECOND_AXIS not in layouts.values()
        layouts = {
            name: RowLayout.AS_IS if layout is RowLayout.SECOND_AXIS else layout for name, layout in layouts.items()
        }
    free = any(None in tensor.shape[1:] for tensor in inputs)
    settled = [_settled(item, answers.get(item.name), layouts[item.name], rows=rows, free=free) for item in kept]
    return Shapes(tuple(inputs), tuple(settled), layouts, rows)


def _fixed(inputs: Sequence[Tensor], outputs: Sequence[GraphOutput], answers: Answers, *, single: bool) -> Shapes:
    free = any(None in tensor.shape for tensor in inputs)
    layouts = {output.name: _layout(output, answers.get(output.name), _NOTHING) for output in outputs}
    kept = [output for output in outputs if layouts[output.name] is not RowLayout.DROPPED]
    settled = [_settled(item, answers.get(item.name), layouts[item.name], rows=False, free=free) for item in kept]
    if single and all(tensor.shape and tensor.shape[0] == 1 for tensor in settled):
        return Shapes(tuple(map(_freed, inputs)), tuple(map(_freed, settled)), layouts, rows=True, one_by_one=True)
    return Shapes(tuple(inputs), tuple(settled), layouts, rows=False)


def _freed(tensor: Tensor) -> Tensor:
    return msgspec.structs.replace(tensor, shape=(None, *tensor.shape[1:]))


def _probe(
    inputs: Sequence[Tensor],
    outputs: Sequence[GraphOutput],
    run: Callable[[Tensors], Sequence[Any]],
    rows: Sequence[int],
) -> Answers:
    """Each output's answers to each number of rows, or nothing where the model refuses."""
    for inner in _INNER_SIZES:
        if inner > 1 and sum(_size(tensor, max(rows), inner) for tensor in inputs) > _LARGEST_PROBE:
            continue
        try:
            answers = [run({tensor.name: _zeros(tensor, count, inner) for tensor in inputs}) for count in rows]
        except Exception:  # noqa: BLE001, S112 - the engine may raise anything; a refusal is an answer
            continue
        return {output.name: values for output, *values in zip(outputs, *answers, strict=True)}
    return {}


def _probed(tensor: Tensor, rows: int, inner: int) -> tuple[int, ...]:
    sizes = (rows, *(inner for _ in tensor.shape[1:])) if tensor.shape else ()
    return tuple(guess if size is None else size for guess, size in zip(sizes, tensor.shape, strict=True))


def _size(tensor: Tensor, rows: int, inner: int) -> int:
    return prod(_probed(tensor, rows, inner))


def _zeros(tensor: Tensor, rows: int, inner: int) -> Array:
    return np.full(_probed(tensor, rows, inner), "" if tensor.dtype == "string" else 0, DTYPES[tensor.dtype])


def _layout(output: GraphOutput, answers: Sequence[Any] | None, declared_rows: DeclaredRows) -> RowLayout:
    if output.sequence:
        return RowLayout.STACKED if answers and all(map(_stackable, answers)) else RowLayout.DROPPED
    if output.name in declared_rows.axes:
        return RowLayout.SECOND_AXIS if declared_rows.axes[output.name] == 1 else RowLayout.AS_IS
    if answers and _on_axis(answers, 1) and not _on_axis(answers, 0):
        return RowLayout.SECOND_AXIS
    return RowLayout.AS_IS


def _stackable(items: Sequence[Array]) -> bool:
    return len(items) > 0 and items[0].ndim > 0 and len({item.shape for item in items}) == 1


def _on_axis(answers: Sequence[Array], axis: int) -> bool:
    sizes = tuple(answer.shape[axis] for answer in answers if answer.ndim > axis)
    return sizes == _ROWS


def _follows(
    output: GraphOutput, answers: Sequence[Any] | None, layout: RowLayout, declared_rows: DeclaredRows
) -> bool:
    if output.name in declared_rows.axes:
        return declared_rows.axes[output.name] == (1 if layout is RowLayout.SECOND_AXIS else 0)
    if output.name in declared_rows.apart:
        return False
    if answers is None:
        return output.shape is None or (len(output.shape) > 0 and output.shape[0] is None)
    seen = [arranged(answer, layout) for answer in answers]
    # An output such as all distances between rows follows them on two axes: its rows cannot be separated.
    return _on_axis(seen, 0) and len({array.shape[1:] for array in seen}) == 1


def arranged(value: Any, layout: RowLayout) -> Array:
    """Return an output of the engine with the rows on its first axis."""
    if layout is RowLayout.STACKED:
        return np.stack(value, axis=1)
    array = np.asarray(value)
    return np.moveaxis(array, 1, 0) if layout is RowLayout.SECOND_AXIS else array


def _settled(
    output: GraphOutput, answers: Sequence[Any] | None, layout: RowLayout, *, rows: bool, free: bool
) -> Tensor:
    if answers is None:
        shape = (None, None) if output.shape is None else output.shape
        return Tensor(output.name, output.dtype, (None, *shape[1:]) if rows else shape)
    seen = [arranged(answer, layout).shape for answer in answers]
    declared = output.shape if layout is RowLayout.AS_IS else None
    if len({len(shape) for shape in seen}) > 1:
        return Tensor(output.name, output.dtype, declared or (None,))
    if declared is None or len(declared) != len(seen[0]):
        # The number of boxes that zeros give does not bound the number for other inputs.
        declared = tuple(None if free or (not rows and at == 0) else size for at, size in enumerate(seen[0]))
    columns = zip(declared, *seen, strict=True)
    # A free size stays free: that zeros gave the same twice does not prove that it is fixed.
    shape = tuple(sizes[0] if set(sizes) == {sizes[0]} else _agreed(sizes, free=free) for sizes in columns)
    return Tensor(output.name, output.dtype, (None, *shape[1:]) if rows else shape)


def _agreed(sizes: Sequence[int | None], *, free: bool) -> int | None:
    declared, *seen = sizes
    return None if declared is None or free or len(set(seen)) > 1 else seen[0]
