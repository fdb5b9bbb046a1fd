"""Where an ONNX file keeps its tensors in other files: in every place of the schema that holds a tensor.

These are initializers, dense and sparse, and the attributes of nodes, in the main graph, in the graphs of If, Loop and
Scan, in functions that the file defines, and in training graphs. Field numbers are those of `onnx.proto3`. An entry
counts also where the tensor does not say that its data is external: a writer that splits a message in two may say it in
the other half, and the engine joins the halves.

https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from septet.errors import DamagedModel
from septet.runtimes.onnx import onnx_wire as wire

_INT64_DIGITS: Final = 20
# onnxruntime takes a tensor with such a location from an address in its own memory.
_MEMORY_ADDRESS: Final = "_ORT_MEM_ADDR_"
_TENSOR, _EXTERNAL_DATA = "tensor", 13
#: Which fields of a message hold which messages.
_MESSAGES: Final = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {_EXTERNAL_DATA: "entry"},
}
#: Every place has an entry with this key. A file without it is not walked, nor is a message: the arrays of a forest.
_KEY: Final = b"location"
_PRUNED: Final = ("attribute", _TENSOR)


class ExternalData(msgspec.Struct, frozen=True):
    """A tensor's place: the file as the model names it, and the bytes in it; 0: from the start, or to the end."""

    location: str
    offset: int = 0
    length: int = 0

    @property
    def name(self) -> str:
        """The file's name in its plainest form: `./w.bin` is `w.bin`."""
        return str(PurePosixPath(self.location))


def external_data(data: memoryview) -> tuple[ExternalData, ...]:
    """All places in other files that a model names; `data` are the bytes of the whole file.

    The time is linear in its size.

    Raises:
        DamagedModel: the bytes are no ONNX model.
    """
    marks = array("Q", _marks(data.obj))
    if not marks:
        return ()
    found: list[ExternalData] = []
    # A stack of messages and where each begins, as a hostile file may nest more graphs than Python nests calls.
    rest: list[tuple[str, memoryview, int]] = [("model", data, 0)]
    while rest:
        kind, message, begin = rest.pop()
        inner = list(_inner(kind, message, begin, marks))
        if kind != _TENSOR:
            rest += inner
        elif (place := _place([entry for _, entry, _ in inner])) is not None:
            found.append(place)
    return tuple(found)


def _marks(data: Any) -> Iterator[int]:
    at = data.find(_KEY)
    while at >= 0:
        yield at
        at = data.find(_KEY, at + 1)


def _inner(kind: str, message: memoryview, begin: int, marks: "array[int]") -> Iterator[tuple[str, memoryview, int]]:
    """The messages that a message holds, each with where it begins in the file."""
    fields = _MESSAGES[kind]
    for count, (number, value, written) in enumerate(wire.spans(message)):
        if count >= wire.MOST_FIELDS:
            raise DamagedModel(f"a message in it has more than {wire.MOST_FIELDS} fields, as no ONNX model has")
        begin += len(written)
        inner = fields.get(number)
        if inner is None:
            continue
        view = wire.view(value)
        start = begin - len(view)
        at = bisect_left(marks, start)
        if inner not in _PRUNED or (at < len(marks) and marks[at] < begin):
            yield inner, view, start


def _place(entries: list[memoryview]) -> ExternalData | None:
    said: dict[str, str] = {}
    for entry in entries:
        pair = {number: wire.text(value) for number, value in wire.fields(entry) if number in {1, 2}}
        said[pair.get(1, "")] = pair.get(2, "")
    location = said.get("location")
    if not location:
        return None
    return ExternalData(location, _number(said.get("offset", "")), _number(said.get("length", "")))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < _INT64_DIGITS else 0


def check_places(path: Path, places: tuple[ExternalData, ...]) -> None:
    """Refuse a model whose other files are not whole beside it.

    Raises:
        DamagedModel: a file is missing, too short or outside of the model's folder; the message names it.
    """
    for item in places:
        file = path.parent / item.location
        if not _inside(path, item):
            message = (
                f"{path}: its weights are in {item.location!r}, which is outside of its folder. Copy that file into "
                "the folder of the model, and export the model with the file's bare name as location."
            )
            raise DamagedModel(message)
        if not file.is_file():
            message = (
                f"{path}: its weights are in the separate file {item.location!r}, which is missing. Copy it beside "
                f"the model, to {file}."
            )
            raise DamagedModel(message)
        if item.offset + item.length > file.stat().st_size:
            message = f"{file}: the file of weights of {path.name} is truncated. Copy it again."
            raise DamagedModel(message)


def _inside(path: Path, item: ExternalData) -> bool:
    """Whether a file is in the model's folder: in the one that is named, or where a link to the model leads."""
    location = PurePosixPath(item.location)
    if _MEMORY_ADDRESS in location.parts:
        return False
    if location.is_absolute() or ".." in location.parts or "\\" in item.location or not item.location.isprintable():
        return False
    real = Path(os.path.realpath(path.parent / location))
    folders = (os.path.realpath(path.parent), Path(os.path.realpath(path)).parent)
    return any(real.is_relative_to(folder) for folder in folders)
