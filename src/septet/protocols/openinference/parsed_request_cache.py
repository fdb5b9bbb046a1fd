"""Inference requests that were read before, known by all of their bytes but the values and the id.

A client sends the same document again and again, with other values in it. To read and check it takes several times as
long as to read the values, and the same bytes always mean the same. So what was found of a document is kept under the
bytes before its first list of values, and holds for a body with the same bytes before, between and behind its lists,
and any lists of as many values in their places: at each of these bytes, who parses it is where he was in the first.
Where the values lie behind the document, it is kept under the document itself. The id, where it stands before the
values, may be any other.
"""

import re
import struct
import sys
from collections.abc import Callable, Mapping
from itertools import chain, pairwise
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np

from septet.columns.row_packing import RowPacking
from septet.errors import Malformed
from septet.model.signature import DTYPES, Signature
from septet.protocols.http.routes import Encode
from septet.protocols.openinference.binary import SIZE
from septet.protocols.openinference.datatypes import texts_of, view
from septet.protocols.openinference.infer_document import Document, InputTensor, number
from septet.protocols.openinference.infer_response import OutputForm
from septet.protocols.openinference.json_tensors import Decode, JsonTensor, is_nested
from septet.tensors import WORTH_A_VIEW
from septet.types import Array, Tensors

MOST_KEYS: Final = 256
#: With the same bytes before the first value.
MOST_ALIKE: Final = 4
#: Longer documents are rare, and would make the memory of all of them large.
MOST_BYTES: Final = 4096
_DATA: Final = b'"data"'
_ID: Final = b'"id"'
#: The bytes of a JSON text that are the id itself, and fit for a header.
_PLAIN: Final = re.compile(rb"[!#-\[\]-~]{1,128}")


class ListLayout(NamedTuple):
    """A list of values in a document.

    Attributes:
        at: its input's place in the signature.
        read, read_wide: read it, as `JsonTensor` has them.
        size: how many values it has, or lists of values.
        depth: how deep these lists are; 0 for values.
        pack: packs so many numbers, or texts of moments; None for values that are kept as they are.
        after: what stands between its last value and the first one of the next list, brackets and all; of the last
            list nothing.
    """

    at: int
    read: Decode
    read_wide: Decode
    size: int
    depth: int
    pack: Callable[..., bytes | list[Any]] | None
    after: bytes


class ParsedRequest(msgspec.Struct, frozen=True):
    """What a document says but for its values and its id.

    Attributes:
        shapes: of the inputs, by name, in the document's order.
        rows, outputs, seconds: as `Dataplane.request` takes them.
        forms: of the outputs, as `Answer.encode` takes them.
        encode: how the answer is written where there is no id.
        lead: what stands before the first value, in the document; all of it where the values lie behind it.
        lists: the lists in the document; none where the values lie behind it.
        rest: what stands behind the last value, in the document.
        sizes: the bytes of each input behind the document.
        size: of all of them.
    """

    shapes: Mapping[str, tuple[int, ...]]
    rows: int
    outputs: tuple[str, ...] | None
    seconds: float | None
    forms: tuple[OutputForm, ...] | None
    encode: Encode
    lead: bytes = b""
    lists: tuple[ListLayout, ...] = ()
    rest: bytes = b""
    sizes: tuple[int, ...] = ()
    size: int = 0


_Kept = TypeVar("_Kept")
#: A plan, the tensors, and the id.
CachedRequest: TypeAlias = tuple[ParsedRequest, Tensors, str | None]


class ParsedRequestCache:
    """The plans for a model, emptied when full: what is still in use comes again.

    `readers` are those of its inputs, by name.
    """

    def __init__(self, signature: Signature, readers: Mapping[str, JsonTensor]) -> None:
        self._packed = RowPacking(signature.inputs)
        self._readers = readers
        self._places = {tensor.name: at for at, tensor in enumerate(signature.inputs)}
        self._dtypes = {tensor.name: DTYPES[tensor.dtype] for tensor in signature.inputs}
        # What differs behind the first value only, newest first.
        self._json: dict[bytes, tuple[ParsedRequest, ...]] = {}
        self._binary: dict[bytes, ParsedRequest] = {}
        # The last ones without an id.
        self._last: ParsedRequest | None = None
        self._last_binary: ParsedRequest | None = None
        self._takes_bytes = sys.byteorder == "little"
        # Texts must be cut, a byte that is neither 0 nor 1 is no boolean, and of numbers that may be missing a list is
        # kept: these are looked at each time.
        self._as_they_are = all(packed.numbers for packed in self._packed.inputs) and all(
            dtype.kind != "b" for dtype in self._dtypes.values()
        )

    def json(self, body: bytes) -> CachedRequest | None:
        """The plan of a body, its tensors and its id, where it is known and nothing is wrong."""
        # Mostly the same comes again, which is told sooner than it is looked up.
        plan = self._last
        if plan is not None and body.startswith(plan.lead):
            values = _values(plan, body, len(plan.lead))
            if values is not None:
                return plan, self._packed.tensors(values), None
        start = _first_value(body)
        key, own = _without_id(body[:start])
        for plan in self._json.get(key, ()):
            values = _values(plan, body, start)
            if values is not None:
                if own is None:
                    self._last = plan
                return plan, self._packed.tensors(values), own
        return None

    def binary(self, body: bytes, length: int) -> CachedRequest | None:
        """The same for a body whose values lie behind its document, the first `length` bytes."""
        plan, own = self._last_binary, None
        if plan is None or len(plan.lead) != length or not body.startswith(plan.lead):
            key, own = _without_id(body[:length])
            plan = self._binary.get(key)
            if plan is not None and own is None:
                self._last_binary = plan
        if plan is None or len(body) - length != plan.size:
            return None
        if self._as_they_are:
            if plan.size >= WORTH_A_VIEW:
                return plan, self._views(plan, body, length), own
            if len(plan.sizes) == 1:
                return plan, self._packed.tensors([body[length:]]), own
        values: list[Any] = [None] * len(plan.sizes)
        for (name, shape), size in zip(plan.shapes.items(), plan.sizes, strict=True):
            cells = self._cells(name, body[length : length + size], shape)
            if cells is None:
                return None
            values[self._places[name]] = cells
            length += size
        return plan, self._packed.tensors(values), own

    def _cells(self, name: str, raw: bytes, shape: tuple[int, ...]) -> bytes | list[Any] | None:
        """What is packed of an input's raw bytes; None where something is wrong in them."""
        dtype = self._dtypes[name]
        packed = self._packed.inputs[self._places[name]]
        if dtype.kind in "OM":
            try:
                texts = texts_of(raw, prod(shape), name)
                return texts if dtype.kind == "O" else packed.moments(texts)
            except (Malformed, ValueError):
                return None
        if dtype.kind == "b" and raw.strip(b"\0\1"):
            return None
        if packed.numbers:
            return raw
        found: list[Any] = np.frombuffer(raw, dtype).tolist()
        return found

    def _views(self, plan: ParsedRequest, body: bytes, start: int) -> Tensors:
        if len(plan.shapes) == 1:
            return {name: view(body, self._dtypes[name], shape, start) for name, shape in plan.shapes.items()}
        arrays: dict[str, Array] = {}
        for name, size in zip(plan.shapes, plan.sizes, strict=True):
            arrays[name] = view(body, self._dtypes[name], plan.shapes[name], start)
            start += size
        return {name: arrays[name] for name in self._places}

    def keep_json(self, body: bytes, document: Document, plan: ParsedRequest) -> None:
        """Know a body by what stands around its lists of values."""
        # Where there is one such key for each input, and no backslash, what follows a key are an input's values.
        if body.count(_DATA) != len(document.inputs) or b"\\" in body:
            return
        # Of each list, where its first value is, and the bracket behind its last.
        spans: list[tuple[int, int]] = []
        end = 0
        for given in document.inputs:
            start = body.find(b"[", body.find(_DATA, end))
            end = start + len(memoryview(given.data))
            if start < 0 or body[start:end] != memoryview(given.data):
                return
            spans.append((start + 1, end - 1))
        afters = [*(body[one[1] : other[0]] for one, other in pairwise(spans)), b""]
        plan = msgspec.structs.replace(
            plan,
            lead=body[: spans[0][0]],
            lists=tuple(self._list(*each, plan) for each in zip(document.inputs, afters, strict=True)),
            rest=body[spans[-1][1] :],
        )
        key = _key(plan.lead, document.id, plan)
        if key is not None:
            _keep(self._json, key, (plan, *self._json.get(key, ())[: MOST_ALIKE - 1]))

    def _list(self, given: InputTensor, after: bytes, plan: ParsedRequest) -> ListLayout:
        at, reader, shape = self._places[given.name], self._readers[given.name], plan.shapes[given.name]
        pack = self._packed.inputs[at].packer(prod(shape))
        if is_nested(given.data):
            return ListLayout(at, *reader.nested, shape[0], len(shape) - 1, pack, after)
        return ListLayout(at, *reader.flat, prod(shape), 0, pack, after)

    def keep_binary(self, text: bytes, document: Document, plan: ParsedRequest) -> None:
        """Know the text of a document whose values lie behind it."""
        if self._takes_bytes and b"\\" not in text:
            key = _key(text, document.id, plan)
            if key is not None:
                sizes = tuple(number(given.parameters or {}, SIZE, 0) or 0 for given in document.inputs)
                _keep(self._binary, key, msgspec.structs.replace(plan, lead=text, sizes=sizes, size=sum(sizes)))


def _first_value(body: bytes) -> int:
    return body.find(b"[", body.find(_DATA)) + 1


def _without_id(text: bytes) -> tuple[bytes, str | None]:
    """A text without the id in it, and the id; nothing of a text whose id must be read with care."""
    at = text.find(_ID)
    if at < 0:
        return text, None
    start = text.find(b'"', at + len(_ID)) + 1
    end = text.find(b'"', start)
    own = text[start:end]
    if start == 0 or end < 0 or not _PLAIN.fullmatch(own):
        return b"", None
    return text[:start] + text[end:], own.decode("ascii")


def _values(plan: ParsedRequest, body: bytes, at: int) -> list[Any] | None:
    """The packed values of each input in a body, the first of which are at `at`; None where it is not of the plan."""
    if not body.endswith(plan.rest):
        return None
    stop = len(body) - len(plan.rest)
    values: list[Any] = [None] * len(plan.lists)
    try:
        for place, read, read_wide, size, depth, pack, after in plan.lists:
            end = body.find(after, at) if after else stop
            if end < at:
                return None
            try:
                found = read(body[at - 1 : end + 1])
            except msgspec.ValidationError:
                found = read_wide(body[at - 1 : end + 1])
            if len(found) != size:
                return None
            for _ in range(depth):
                found = list(chain.from_iterable(found))
            values[place] = found if pack is None else pack(*found)
            at = end + len(after)
    except (msgspec.MsgspecError, ValueError, struct.error):
        return None
    return values


def _key(text: bytes, own: str | None, plan: ParsedRequest) -> bytes | None:
    """The key of a plan by what its document has before its values; `own` is the document's id."""
    key, found = _without_id(text)
    fixed = b"".join((text, *(each.after for each in plan.lists), plan.rest))
    # Elsewhere, or as a name, what looks like the key of the id could be taken for it.
    if found != own or fixed.count(_ID) != (own is not None) or len(fixed) > MOST_BYTES:
        return None
    return key


def _keep(plans: dict[bytes, _Kept], key: bytes, kept: _Kept) -> None:
    if len(plans) >= MOST_KEYS:
        plans.clear()
    plans[key] = kept
