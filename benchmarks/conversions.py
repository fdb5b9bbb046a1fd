"""What any codec must do at the least: bytes to float32 and answers to bytes, with msgspec and numpy, unchecked.

Each is made for one body and one answer, and does nothing but read the one and write the other.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from benchmarks.forms import LENGTH, FormBody
from benchmarks.models import FEATURES, Array

Step = Callable[[], bytes]
encode = msgspec.json.Encoder().encode


class _ConvertedData(msgspec.Struct):
    data: list[list[float]]


class _ConvertedTensor(msgspec.Struct):
    shape: list[int]
    data: list[float] = []


class _Tensors(msgspec.Struct):
    inputs: list[_ConvertedTensor]


def _prediction(scores: Array) -> bytes:
    return encode({"prediction": scores.tolist()})


def _data(body: FormBody, _: Array, scores: Array) -> Step:
    decode, content = msgspec.json.Decoder(_ConvertedData).decode, body.content

    def step() -> bytes:
        np.array(decode(content).data, np.float32)
        return _prediction(scores)

    return step


def _records(body: FormBody, _: Array, scores: Array) -> Step:
    record: Any = msgspec.defstruct("Record", [(f"input_{index}", float) for index in range(FEATURES)])
    records = msgspec.defstruct("Records", [("records", list[record])])
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(records).decode
    astuple, content = msgspec.structs.astuple, body.content

    def step() -> bytes:
        np.array([astuple(each) for each in decode(content).records], np.float32)
        return _prediction(scores)

    return step


def _v2(body: FormBody, label: Array, scores: Array) -> Step:
    decode, content = msgspec.json.Decoder(_Tensors).decode, body.content

    def step() -> bytes:
        tensor = decode(content).inputs[0]
        np.array(tensor.data, np.float32).reshape(tensor.shape)
        return encode(_described(label.tolist(), scores.ravel().tolist(), label.shape, scores.shape))

    return step


def _v2_binary(body: FormBody, label: Array, scores: Array) -> Step:
    decode, content, length = msgspec.json.Decoder(_Tensors).decode, body.content, int(body.headers[LENGTH])

    def step() -> bytes:
        tensor = decode(content[:length]).inputs[0]
        np.frombuffer(content, np.float32, offset=length).reshape(tensor.shape)
        return encode(_described([], [], label.shape, scores.shape)) + label.tobytes() + scores.tobytes()

    return step


def _csv(body: FormBody, _: Array, scores: Array) -> Step:
    """As one JSON array: the fastest way there is with these libraries; `numpy.loadtxt` takes three times as long."""
    decode, content = msgspec.json.Decoder(list[float]).decode, body.content

    def step() -> bytes:
        cells = content[content.index(b"\n") + 1 : -1].replace(b"\n", b",")
        np.array(decode(b"[" + cells + b"]"), np.float32).reshape(-1, FEATURES)
        return _prediction(scores)

    return step


def _described(labels: list[int], scores: list[float], *shapes: tuple[int, ...]) -> dict[str, Any]:
    return {
        "model_name": "mlp",
        "outputs": [
            {"name": "label", "shape": shapes[0], "datatype": "INT64", "data": labels},
            {"name": "probabilities", "shape": shapes[1], "datatype": "FP32", "data": scores},
        ],
    }


#: By form; made of the body, the labels and the scores of the answer.
CONVERSIONS: dict[str, Callable[[FormBody, Array, Array], Step]] = {
    "data": _data,
    "records": _records,
    "v2": _v2,
    "v2-binary": _v2_binary,
    "csv": _csv,
}
