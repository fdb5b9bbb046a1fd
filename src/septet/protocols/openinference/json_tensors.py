"""The `data` of a JSON input -> an array: flat or nested, row-major.

Theory of operation. For each input of the model two decoders are compiled, for a flat list and for nested lists, so
that types and ranges are checked in C while parsing. What both refuse is read a second time from what Python's parser
made of it, to name the value at fault. That way takes a little more: NaN, Infinity and -Infinity, integral floats for
integers, and a bare value for a tensor without axes.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import msgspec
import numpy as np

from septet.columns.casting import cast_cells
from septet.columns.scalars import carried_type, nested_type
from septet.errors import Invalid, Problem
from septet.model.received import received
from septet.model.signature import DTYPES, Tensor
from septet.model.values import EXACT_LIMITS, FLOAT_LIMITS, is_text, takes_null
from septet.protocols.codecs.json_slices import SLICE_BYTES, VALUES, decoded_slices
from septet.protocols.codecs.number_lists import NumberList, NumberListReader
from septet.protocols.openinference.datatypes import shaped
from septet.protocols.openinference.missing_parameter import without
from septet.tables.strict_json import strict
from septet.types import Array

_OPEN = ord("[")

Decode: TypeAlias = Callable[[bytes | msgspec.Raw], list[Any]]
Decoders: TypeAlias = tuple[Decode, Decode]


class JsonTensor:
    """Reads the values of one input, whose shape has been checked.

    Attributes:
        flat: reads a flat list: one decoder for numbers up to those of which each whole one is exact, and one for
            all; see `cells`.
        nested: the same for lists nested like the input, of any number of rows.
        is_text: whether the values are texts in JSON: texts themselves, or moments.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self.is_text = is_text(tensor.dtype)
        self._dtype = np.dtype(object) if self.is_text else DTYPES[tensor.dtype]
        self._nullable = any(takes_null(column, tensor.dtype) for column in tensor.columns)
        kinds = [carried_type(tensor.dtype, nullable=self._nullable, wide=wide) for wide in (False, True)]
        first, second = kinds
        self.flat: Decoders = (_list(first), _list(second))
        self.nested: Decoders = (_nested(first, tensor), _nested(second, tensor))
        self._reader: NumberListReader | None = None

    def read(self, data: msgspec.Raw, shape: Sequence[int]) -> Array | None:
        """The array of a shape, or None where the values must be read with care; of texts as they stand in JSON."""
        array = self._sliced(data, shape) if len(memoryview(data)) > SLICE_BYTES else None
        return self._at_once(data, shape) if array is None else array

    def _at_once(self, data: msgspec.Raw, shape: Sequence[int]) -> Array | None:
        try:
            nested = is_nested(data)
        except IndexError:
            return None
        values = _decoded(self.nested if nested else self.flat, data)
        try:
            if values is None or (not nested and len(values) != prod(shape)):
                return None
            if nested:
                array = np.array(values, self._dtype)
                return array if array.shape == tuple(shape) else None
            if self._nullable:
                return np.array(values, self._dtype).reshape(shape)
            return np.fromiter(values, self._dtype, len(values)).reshape(shape)
        except (OverflowError, ValueError):  # an integer above uint64; a shape that no array can have
            return None

    def _sliced(self, data: msgspec.Raw, shape: Sequence[int]) -> Array | None:
        """A long flat list, slice by slice; None where it must be read at once."""
        if self._nullable:
            return None
        try:
            slices = decoded_slices(bytes(memoryview(data)), VALUES, self.flat)
            parts = [np.fromiter(values, self._dtype, len(values)) for values in slices]
            array = np.concatenate(parts)
        except (msgspec.MsgspecError, OverflowError, ValueError):
            return None
        return array.reshape(shape) if array.size == prod(shape) else None

    def careful(self, data: object, shape: Sequence[int], at: Sequence[int] = ()) -> Array:
        """The array of a shape, of values as Python's parser gave them; `at` are the places of missing texts.

        Raises:
            Invalid: they are not that many, not nested like that, or not of the input's type.
        """
        tensor = self._tensor
        if isinstance(data, NumberList):
            if not self.is_text and len(tensor.columns) <= 1:
                return self._long(data, shape)
            data = strict(data.text, "[1, 2]", constant=float)
        values = list(self._values(data, shape))
        array = self._floats(values)
        if array is not None:
            return shaped(array, shape, tensor.name)
        if at:
            values = without(np.array(values, object), at, tensor.name, shape).tolist()
        return shaped(cast_cells(values, shape, tensor), shape, tensor.name)

    def _long(self, data: NumberList, shape: Sequence[int]) -> Array:
        """A long list of numbers, some of them at a time."""
        if self._reader is None:
            self._reader = NumberListReader(self._tensor)
        sizes = [prod(shape)] if data.is_flat else shape

        def careful(part: bytes, first: int, _: Sequence[int]) -> Array:
            values = strict(part, "[1, 2]", constant=float)
            array = self._floats(values)
            return cast_cells(values, shape, self._tensor, first) if array is None else array

        return shaped(self._reader.array(data, sizes, careful), shape, self._tensor.name)

    def _floats(self, values: list[Any]) -> Array | None:
        """The values at once, where they are numbers that fit, or not finite: a few NaN must not cost a slow look."""
        limit = FLOAT_LIMITS.get(self._tensor.dtype)
        if limit is None or not {int, float}.issuperset(map(type, values)):
            return None
        exact = EXACT_LIMITS[self._tensor.dtype]
        if any(type(value) is int and not -exact <= value <= exact for value in values):
            return None
        try:
            wide = np.array(values, np.float64)
        except OverflowError:
            return None
        if np.any(np.isfinite(wide) & (np.abs(wide) > limit)):
            return None
        return wide.astype(self._dtype)

    def _values(self, data: object, shape: Sequence[int]) -> Iterator[object]:
        if not isinstance(data, list) or list in set(map(type, data)):
            return self._unnested(data, shape, [])
        count = prod(shape)
        if len(data) != count:
            raise self._unfit(f"a list of {count}", data, shape, [])
        return iter(data)

    def _unnested(self, data: object, shape: Sequence[int], at: list[int]) -> Iterator[object]:
        if len(at) == len(shape):
            return iter((data,))
        size = shape[len(at)]
        if not isinstance(data, list) or len(data) != size:
            raise self._unfit(f"a list of {size}", data, shape, at)
        return chain.from_iterable([self._unnested(item, shape, [*at, index]) for index, item in enumerate(data)])

    def _unfit(self, what: str, data: object, shape: Sequence[int], at: list[int]) -> Invalid:
        name = self._tensor.name
        place = f"{name}.data" + "".join(f"[{index}]" for index in at)
        expected = f"{what}, as its shape {list(shape)} says"
        text = f"Expected {expected}, in {place!r}, received {received(data)}."
        return Invalid(text, (Problem(None, name, expected, received(data)),))


def _list(kind: Any) -> Decode:
    return msgspec.json.Decoder(list[kind]).decode


def _nested(kind: Any, tensor: Tensor) -> Decode:
    return msgspec.json.Decoder(nested_type(kind, tensor.shape, rows=True)).decode


def _decoded(decoders: Decoders, data: msgspec.Raw) -> list[Any] | None:
    for decode in decoders:
        try:
            return decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    return None


def is_nested(data: msgspec.Raw) -> bool:
    """Whether a list of values holds lists; raises IndexError where it is no list."""
    return memoryview(data)[1] == _OPEN
