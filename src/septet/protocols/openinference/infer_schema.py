"""What a model asks of an Open Inference request, whichever way it comes: JSON, binary, or gRPC.

Names, datatypes, shapes and rows are checked here. Values (missing ones, bounds, categories) are checked by the engine,
for every protocol alike.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from septet.columns.stacking import completed
from septet.errors import Invalid, Problem
from septet.model.received import shown_key, shown_names
from septet.model.signature import Signature, Tensor
from septet.model.values import is_optional
from septet.protocols.codecs.decoded_body import check_rows
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of
from septet.tables.column_batch import same_rows
from septet.types import Array, Tensors


class InputSpec(NamedTuple):
    """One input of the model: what it is, its datatype, its shape with -1 for a free size, and the sizes not free."""

    tensor: Tensor
    datatype: str
    shape: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...]

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether a request's tensor may have this shape."""
        if len(shape) != len(self.shape):
            return False
        for axis, size in self.fixed:
            if shape[axis] != size:
                return False
        return len(self.fixed) == len(shape) or (min(shape) >= 0 and max(shape) <= sys.maxsize)


class InferSchema:
    """What one signature asks of requests. `max_rows` bounds the rows of a request."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self.inputs: Mapping[str, InputSpec] = {each.name: _input_spec(each) for each in signature.inputs}
        self._known = {each.name: each for each in signature.outputs}
        self._rows = signature.rows
        self._max_rows = max_rows

    def input(self, name: str, datatype: str, shape: Sequence[int]) -> Tensor:
        """The model's input of that name, which takes values of that datatype and shape.

        Raises:
            Invalid: there is none, or it takes another datatype or shape.
        """
        spec = self.inputs.get(name)
        if spec is None:
            raise _unknown("input", name, self.inputs)
        if datatype != spec.datatype:
            dtype_of(datatype, name)
            raise _unfit(f"The input {name!r} takes the datatype", name, spec.datatype, datatype)
        if not spec.takes(shape):
            raise _unfit(f"The input {name!r} takes the shape", name, str(list(spec.shape)), f"{list(shape)!s:.80}")
        return spec.tensor

    def tensors(self, given: Iterable[tuple[str, Array]]) -> tuple[Tensors, int]:
        """The tensors of a request, in the model's order, and its rows (1 where the model has none).

        Names and shapes have been checked.

        Raises:
            Invalid: an input is missing or comes twice, the inputs differ in rows, or rows are none or too many.
        """
        arrays: dict[str, Array] = {}
        for name, array in given:
            if name in arrays:
                raise Invalid(f"The input {name!r} comes twice.", (Problem(None, name, "once", "twice"),))
            arrays[name] = array
        if len(arrays) != len(self.inputs):
            arrays = self._completed(arrays)
        if len(arrays) > 1:
            arrays = {name: arrays[name] for name in self.inputs}
        if not self._rows:
            return arrays, 1
        rows = len(next(iter(arrays.values())))
        for other in arrays.values():
            if len(other) != rows:
                same_rows(arrays)
        if not 0 < rows <= self._max_rows:
            check_rows(rows, self._max_rows)
        return arrays, rows

    def _completed(self, given: dict[str, Array]) -> dict[str, Array]:
        """The inputs with those that may be left out.

        Raises:
            Invalid: another one is missing.
        """
        for name, spec in self.inputs.items():
            if name not in given and not (given and self._rows and is_optional(spec.tensor)):
                text = f"The input {name!r} is missing. The model takes {shown_names(self.inputs)}."
                raise Invalid(text, (Problem(None, name, "an input", "none"),))
        rows = len(next(iter(given.values())))
        return completed([spec.tensor for spec in self.inputs.values()], given, rows)

    def outputs(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """The wanted outputs in the caller's order; None, for all of them, where none is named.

        Raises:
            Invalid: the model has no such output, or one is named twice.
        """
        seen: set[str] = set()
        for name in names:
            if name not in self._known:
                raise _unknown("output", name, self._known)
            if name in seen:
                raise Invalid(f"The output {name!r} is asked for twice.", (Problem(None, name, "once", "twice"),))
            seen.add(name)
        return tuple(names) or None


def protocol_shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape as the protocol writes it: -1 for a free size."""
    return tuple(-1 if size is None else size for size in tensor.shape)


def _input_spec(tensor: Tensor) -> InputSpec:
    fixed = tuple((axis, size) for axis, size in enumerate(tensor.shape) if size is not None)
    return InputSpec(tensor, DATATYPES[tensor.dtype], protocol_shape(tensor), fixed)


def _unknown(what: str, name: str, known: Iterable[str]) -> Invalid:
    names, shown = shown_names(known), shown_key(name)
    text = f"The model has no {what} {shown!r}. It has {names or 'none'}."
    return Invalid(text, (Problem(None, shown, f"one of {names}", repr(shown)),))


def _unfit(what: str, name: str, expected: str, received: str) -> Invalid:
    text = f"{what} {expected}, received {received}."
    return Invalid(text, (Problem(None, name, expected, received),))
