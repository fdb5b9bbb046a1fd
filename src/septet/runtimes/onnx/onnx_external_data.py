"""The files beside an ONNX model that hold its weights, wherever in the file they are named.

A tensor whose bytes lie in another file (`TensorProto.external_data`, field 13 of `onnx.proto`) may stand among the
initializers, dense or sparse, in an attribute of any node, in the graphs that such an attribute holds, in the functions
that the file defines, and in its training information. All of these are walked; values are views, so no weight is read.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from septet.control_characters import escaped, has_controls
from septet.errors import DamagedModel, UnsupportedModel
from septet.runtimes.onnx import onnx_wire as wire

# Which fields of a message hold messages that may hold tensors, by the names of `onnx.proto`.
_NESTED: Final = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
}
_EXTERNAL_DATA: Final = 13
# The arrays of a forest: millions of numbers, each a field of its own (7: floats, 8: ints).
_NUMBERS: Final = re.compile(rb"(?:\x3d[\x00-\xff]{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f])+")
_NUMBER_KEYS: Final = frozenset((0x3D, 0x40))
# onnxruntime takes tensors with this location from an address in its own memory.
_MEMORY_ADDRESS: Final = "_ORT_MEM_ADDR_"
_NESTING: Final = 100


def external_files(path: Path, image: memoryview) -> tuple[str, ...]:
    """The files of weights that the model file `path` with these bytes names, relative to its folder, sorted.

    Raises:
        DamagedModel: the bytes are no ONNX model, or a file is missing.
        UnsupportedModel: a file does not lie in the folder of the model, or its name has control characters.
    """
    try:
        found = sorted(set(_locations(image, "ModelProto", 0)))
    except DamagedModel as exc:
        message = f"{path}: {exc.message}. Export or copy it again."
        raise DamagedModel(message) from exc
    for location in found:
        _check_location(path, location)
    return tuple(sorted({PurePosixPath(location).as_posix() for location in found}))


def _locations(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    if kind == "TensorProto":
        yield from _location(data)
        return
    if depth > _NESTING:
        message = "its graphs are nested too deeply"
        raise DamagedModel(message)
    nested = _NESTED[kind]
    for number, value in wire.fields(data) if kind != "AttributeProto" else _attribute_fields(data):
        if number == 0:
            message = "the bytes are not a complete ONNX model: the file is truncated or not an ONNX file"
            raise DamagedModel(message)
        inner = nested.get(number)
        if inner is not None:
            yield from _locations(wire.view(value), inner, depth + 1)


def _attribute_fields(data: memoryview) -> Iterator[tuple[int, wire.Value]]:
    """The fields of an attribute but for numbers in a row, which are passed over at once."""
    at = 0
    while at < len(data):
        if data[at] in _NUMBER_KEYS and (run := _NUMBERS.match(data, at)):
            at = run.end()
            continue
        number, value, written = next(wire.spans(data[at:]))
        yield number, value
        at += len(written)


def _location(tensor: memoryview) -> Iterator[str]:
    """Where a tensor says that its bytes lie.

    Whether it is marked as external is not asked: protobuf joins the parts of a message that comes in several.
    """
    for number, value in wire.fields(tensor):
        if number != _EXTERNAL_DATA:
            continue
        entry = {field: wire.text(item) for field, item in wire.fields(wire.view(value)) if field in {1, 2}}
        if entry.get(1) == "location":
            yield entry.get(2, "")


def _check_location(path: Path, location: str) -> None:
    shown = escaped(location)
    parts = PurePosixPath(location).parts
    if not parts or location.startswith("/") or ".." in parts or "\\" in location or _MEMORY_ADDRESS in parts:
        message = (
            f"{path}: its weights are in '{shown}', and a file of weights must lie in the folder of the model. "
            "Export it again with its weights in one file beside it."
        )
        raise UnsupportedModel(message)
    if has_controls(location):
        message = f"{path}: the name of its file of weights has control characters: '{shown}'. Export it again."
        raise UnsupportedModel(message)
    file = path.parent / location
    real = Path(os.path.realpath(file))
    # A model may be a link itself, as in the caches of model hubs; its weights then lie beside what it links to.
    folders = (os.path.realpath(path.parent), Path(os.path.realpath(path)).parent)
    if not any(real.is_relative_to(folder) for folder in folders):
        message = (
            f"{file}: this file of weights of {path.name} is a link to outside of its folder. Copy the file there."
        )
        raise UnsupportedModel(message)
    if not file.is_file():
        message = (
            f"{path}: its weights are in the separate file '{shown}', which is missing. Copy it beside the model, to "
            f"{file}."
        )
        raise DamagedModel(message)
