"""CPU seconds of single steps, in this process: the codec alone, the engine alone."""

import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np

from benchmarks.models import BenchmarkModel

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PARTS = 9


class _CostBody(msgspec.Struct):
    data: list[list[float]]


def cpu_seconds(step: Callable[[], object], *, seconds: float) -> float:
    """CPU seconds of one call, as the median of nine parts of about `seconds` in all."""
    step()
    begun = time.perf_counter()
    step()
    calls = max(1, round(seconds / PARTS / max(1e-7, time.perf_counter() - begun)))
    parts = []
    for _ in range(PARTS):
        begun = time.process_time()
        for _ in range(calls):
            step()
        parts.append((time.process_time() - begun) / calls)
    return statistics.median(parts)


def bare_codec(content: bytes, answer: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", *, seconds: float) -> float:
    """CPU seconds to read a `data` body with msgspec into float32, and to write an answer: nothing is checked."""
    decode = msgspec.json.Decoder(_CostBody).decode
    encode = msgspec.json.Encoder().encode

    def step() -> bytes:
        np.array(decode(content).data, np.float32)
        return encode({"prediction": answer.tolist()})

    return cpu_seconds(step, seconds=seconds)


def engine(model: BenchmarkModel, *, seconds: float) -> dict[int, float]:
    """CPU seconds of the engine for each row, by how many rows run together."""
    session = model.session()
    found = {}
    for size in BATCHES:
        rows = np.ascontiguousarray(np.resize(model.rows, (size, *model.rows.shape[1:])))

        def step(rows: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]" = rows) -> object:
            return session.run(None, {"input": rows})

        found[size] = cpu_seconds(step, seconds=seconds / len(BATCHES)) / size
    return found
