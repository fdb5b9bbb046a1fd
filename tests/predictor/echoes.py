"""Engines over the runtime without an engine, and the requests that tests send them."""

import itertools
from typing import Any

import numpy as np

from septet.model.signature import Column, Kind, Signature, Tensor
from septet.predictor.batcher import Batcher
from septet.predictor.latency_model import LatencyModel
from septet.predictor.model_runner import ModelRunner
from septet.runtimes.echo.echo_runtime import EchoRuntime
from septet.types import Identity, Request

SIGNATURE = Signature(
    Kind.REGRESSION,
    (Tensor("x", "float32", (None, 1), (Column("x", "float32", maximum=1000.0),)),),
    (Tensor("y", "float32", (None,)), Tensor("z", "float32", (None,))),
)
SAMPLE = {"x": np.zeros((1, 1), np.float32)}
IDENTITY = Identity("echo", "1", "sha256:" + "0" * 64)
SHORT, LONG = LatencyModel(0.0, 0.0), LatencyModel(1.0, 0.0)
_ids = itertools.count()


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def runtime(**more: Any) -> EchoRuntime:
    return EchoRuntime(SIGNATURE, scale=2.0, shift=1.0, **more)


def request(*values: float, **more: Any) -> Request:
    rows = np.array(values, np.float32).reshape(-1, 1)
    return Request({"x": rows}, len(rows), f"r{next(_ids)}", **more)


def batcher(runtime: EchoRuntime, latency: LatencyModel = SHORT, **more: Any) -> Batcher:
    options: dict[str, Any] = {"max_batch_rows": 64, "max_pending": 1000, **more}
    return Batcher(ModelRunner(runtime, SIGNATURE, SAMPLE), IDENTITY, latency, **options)
