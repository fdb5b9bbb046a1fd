"""Inference requests whose document was read before: known by all of their bytes but the values and the id.

A client sends the same document again and again, with other values in it. To read and check the document takes several
times as long as to read the values, and the same bytes always mean the same. So the parsed document is cached.

Invariant of values in JSON: cached prefix P, separators B1 ... Bn-1 and suffix S:
body = P + values 1 + B1 + values 2 + ... + values n + S, where each list has as many values as in the cached body.
Where a list begins, a parser of JSON is in the same state as in the cached body, so what follows it means the same.

Invariant of values behind the document: cached prefix P: body = P + raw bytes, as many as those of the cached body.

The id may be any other where it stands in P, which is cached under its key without the id.
"""

import re
import struct
import sys
from collections.abc import Callable, Mapping
from itertools import chain, pairwise
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from septet.bounded_cache import BoundedCache
from septet.columns.row_packing import RowPacking
from septet.errors import Malformed
from septet.model.signature import DTYPES, Signature
from septet.protocols.http.routes import Encode
from septet.protocols.openinference.binary_extension import SIZE
from septet.protocols.openinference.datatypes import texts_of, view
from septet.protocols.openinference.infer_document import InferDocument, InputTensor, number
from septet.protocols.openinference.infer_response import OutputForm
from septet.protocols.openinference.json_tensors import Decode, JsonTensor, is_nested
from septet.tensors import WORTH_A_VIEW
from septet.types import Array, Tensors

#: Prefixes that are cached; when there are more, all are forgotten, and what is still in use comes again.
MOST_PREFIXES: Final = 256
#: Bodies that are cached of those with one prefix.
MOST_PER_PREFIX: Final = 4
#: Longer documents are rare, and would make the memory of all of them large.
MOST_DOCUMENT_BYTES: Final = 4096
_DATA: Final = b'"data"'
_ID: Final = b'"id"'
#: The bytes of a JSON text that are the id itself, and fit for a header.
_PLAIN_ID: Final = re.compile(rb"[!#-\[\]-~]{1,128}")


class ListLayout(NamedTuple):
    """A list of values in a document.

    Attributes:
        place: its input's place in the signature.
        read, read_wide: decode it, as `JsonTensor` has them.
        size: how many values it has, or lists of values.
        depth: how deep these lists are; 0 for values.
        pack: packs so many numbers, or texts of moments; None for values that are kept as they are.
        separator: what stands between its last value and the first one of the next list, brackets and all; of the
            last list nothing.
    """

    place: int
    read: Decode
    read_wide: Decode
    size: int
    depth: int
    pack: Callable[..., bytes | list[Any]] | None
    separator: bytes


class ParsedRequest(msgspec.Struct, frozen=True):
    """A parsed document without its values and its id.

    Attributes:
        shapes: of the inputs, by name, in the document's order.
        rows, outputs, seconds: as `RequestFactory.request` takes them.
        forms: of the outputs, as `InferResponseWriter.encode` takes them.
        encode: how the answer is written where there is no id.
        prefix: what stands before the first value; the whole document where the values lie behind it.
        lists: the lists in the document; none where the values lie behind it.
        suffix: what stands behind the last value, in the document.
        sizes: the bytes of each input behind the document.
        size: of all of them.
    """

    shapes: Mapping[str, tuple[int, ...]]
    rows: int
    outputs: tuple[str, ...] | None
    seconds: float | None
    forms: tuple[OutputForm, ...] | None
    encode: Encode
    prefix: bytes = b""
    lists: tuple[ListLayout, ...] = ()
    suffix: bytes = b""
    sizes: tuple[int, ...] = ()
    size: int = 0


#: A parsed document, the tensors of this body, and its id.
CachedRequest: TypeAlias = tuple[ParsedRequest, Tensors, str | None]


class ParsedRequestCache:
    """The parsed requests of one model; `readers` are those of its inputs, by name."""

    def __init__(self, signature: Signature, readers: Mapping[str, JsonTensor]) -> None:
        self._packing = RowPacking(signature.inputs)
        self._readers = readers
        self._places = {tensor.name: place for place, tensor in enumerate(signature.inputs)}
        self._dtypes = {tensor.name: DTYPES[tensor.dtype] for tensor in signature.inputs}
        # By their prefix without the id. Those with values in JSON differ behind their first value, newest first.
        self._json: BoundedCache[bytes, tuple[ParsedRequest, ...]] = BoundedCache(MOST_PREFIXES)
        self._binary: BoundedCache[bytes, ParsedRequest] = BoundedCache(MOST_PREFIXES)
        # The last that was found without an id. Mostly it comes again, and to compare it is faster than to look it up.
        self._latest_json: ParsedRequest | None = None
        self._latest_binary: ParsedRequest | None = None
        self._takes_bytes = sys.byteorder == "little"
        # Of numbers the raw bytes are the packed ones. Not so of texts, which must be cut, of booleans, whose bytes may
        # be other than 0 and 1, and of numbers that may be missing, which are packed as a list.
        self._packs_raw = all(packing.numbers for packing in self._packing.inputs) and all(
            dtype.kind != "b" for dtype in self._dtypes.values()
        )

    def find_json(self, body: bytes) -> CachedRequest | None:
        """The request of a body with values in JSON, where its document is cached and its values are right."""
        parsed = self._latest_json
        if parsed is not None and body.startswith(parsed.prefix):
            values = _values(parsed, body, len(parsed.prefix))
            if values is not None:
                return parsed, self._packing.tensors(values), None
        start = _first_value(body)
        key, request_id = _without_id(body[:start])
        for parsed in self._json.get(key, ()):
            values = _values(parsed, body, start)
            if values is not None:
                if request_id is None:
                    self._latest_json = parsed
                return parsed, self._packing.tensors(values), request_id
        return None

    def find_binary(self, body: bytes, length: int) -> CachedRequest | None:
        """The same for a body whose values lie behind its document, the first `length` bytes."""
        parsed, request_id = self._latest_binary, None
        if parsed is None or len(parsed.prefix) != length or not body.startswith(parsed.prefix):
            key, request_id = _without_id(body[:length])
            parsed = self._binary.get(key)
            if parsed is not None and request_id is None:
                self._latest_binary = parsed
        if parsed is None or len(body) - length != parsed.size:
            return None
        if self._packs_raw:
            if parsed.size >= WORTH_A_VIEW:
                return parsed, self._views(parsed, body, length), request_id
            if len(parsed.sizes) == 1:
                return parsed, self._packing.tensors([body[length:]]), request_id
        values: list[Any] = [None] * len(parsed.sizes)
        for (name, shape), size in zip(parsed.shapes.items(), parsed.sizes, strict=True):
            cells = self._cells(name, body[length : length + size], shape)
            if cells is None:
                return None
            values[self._places[name]] = cells
            length += size
        return parsed, self._packing.tensors(values), request_id

    def _cells(self, name: str, raw: bytes, shape: tuple[int, ...]) -> bytes | list[Any] | None:
        """What is packed of an input's raw bytes; None where something is wrong in them."""
        dtype = self._dtypes[name]
        packing = self._packing.inputs[self._places[name]]
        if dtype.kind in "OM":
            try:
                texts = texts_of(raw, prod(shape), name)
                return texts if dtype.kind == "O" else packing.moments(texts)
            except (Malformed, ValueError):
                return None
        if dtype.kind == "b" and raw.strip(b"\0\1"):
            return None
        if packing.numbers:
            return raw
        found: list[Any] = np.frombuffer(raw, dtype).tolist()
        return found

    def _views(self, parsed: ParsedRequest, body: bytes, start: int) -> Tensors:
        if len(parsed.shapes) == 1:
            return {name: view(body, self._dtypes[name], shape, start) for name, shape in parsed.shapes.items()}
        arrays: dict[str, Array] = {}
        for name, size in zip(parsed.shapes, parsed.sizes, strict=True):
            arrays[name] = view(body, self._dtypes[name], parsed.shapes[name], start)
            start += size
        return {name: arrays[name] for name in self._places}

    def keep_json(self, body: bytes, document: InferDocument, parsed: ParsedRequest) -> None:
        """Cache a parsed body by the bytes around its lists of values."""
        # With one such key for each input, and no backslash, what follows a key are an input's values.
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
        separators = [*(body[one[1] : other[0]] for one, other in pairwise(spans)), b""]
        parsed = msgspec.structs.replace(
            parsed,
            prefix=body[: spans[0][0]],
            lists=tuple(self._list(*each, parsed) for each in zip(document.inputs, separators, strict=True)),
            suffix=body[spans[-1][1] :],
        )
        key = _key(document.id, parsed)
        if key is not None:
            self._json.keep(key, (parsed, *self._json.get(key, ())[: MOST_PER_PREFIX - 1]))

    def _list(self, given: InputTensor, separator: bytes, parsed: ParsedRequest) -> ListLayout:
        place, reader, shape = self._places[given.name], self._readers[given.name], parsed.shapes[given.name]
        pack = self._packing.inputs[place].packer(prod(shape))
        if is_nested(given.data):
            return ListLayout(place, *reader.nested, shape[0], len(shape) - 1, pack, separator)
        return ListLayout(place, *reader.flat, prod(shape), 0, pack, separator)

    def keep_binary(self, text: bytes, document: InferDocument, parsed: ParsedRequest) -> None:
        """Cache a parsed document whose values lie behind it; `text` is the document."""
        if self._takes_bytes and b"\\" not in text:
            sizes = tuple(number(given.parameters or {}, SIZE, 0) or 0 for given in document.inputs)
            parsed = msgspec.structs.replace(parsed, prefix=text, sizes=sizes, size=sum(sizes))
            key = _key(document.id, parsed)
            if key is not None:
                self._binary.keep(key, parsed)


def _first_value(body: bytes) -> int:
    return body.find(b"[", body.find(_DATA)) + 1


def _without_id(prefix: bytes) -> tuple[bytes, str | None]:
    """A prefix without the id in it, and the id; nothing of a prefix whose id must be read with care."""
    key = prefix.find(_ID)
    if key < 0:
        return prefix, None
    start = prefix.find(b'"', key + len(_ID)) + 1
    end = prefix.find(b'"', start)
    request_id = prefix[start:end]
    if start == 0 or end < 0 or not _PLAIN_ID.fullmatch(request_id):
        return b"", None
    return prefix[:start] + prefix[end:], request_id.decode("ascii")


def _values(parsed: ParsedRequest, body: bytes, start: int) -> list[Any] | None:
    """The packed values of each input of a body, the first of which begin at `start`.

    None where the body has other bytes around its lists than the parsed one, or lists that must be read with care.
    """
    if not body.endswith(parsed.suffix):
        return None
    last = len(body) - len(parsed.suffix)
    values: list[Any] = [None] * len(parsed.lists)
    try:
        for place, read, read_wide, size, depth, pack, separator in parsed.lists:
            end = body.find(separator, start) if separator else last
            if end < start:
                return None
            try:
                found = read(body[start - 1 : end + 1])
            except msgspec.ValidationError:
                found = read_wide(body[start - 1 : end + 1])
            if len(found) != size:
                return None
            for _ in range(depth):
                found = list(chain.from_iterable(found))
            values[place] = found if pack is None else pack(*found)
            start = end + len(separator)
    except (msgspec.MsgspecError, ValueError, struct.error):
        return None
    return values


def _key(request_id: str | None, parsed: ParsedRequest) -> bytes | None:
    """The key of a document with this id; None where it does not tell documents apart, or is too long."""
    key, found = _without_id(parsed.prefix)
    fixed = b"".join((parsed.prefix, *(each.separator for each in parsed.lists), parsed.suffix))
    # Elsewhere, or as a name, what looks like the key of the id could be taken for it.
    if found != request_id or fixed.count(_ID) != (request_id is not None) or len(fixed) > MOST_DOCUMENT_BYTES:
        return None
    return key
