"""A server process that is asked over gRPC as well."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.7, 1.5], [7.2, 3.6, 6.1, 2.5]], np.float32)


def grpc_address(server: ServerProcess) -> str:
    """Where it listens for gRPC; it does, once this returns."""
    found = until(lambda: re.search(r"gRPC at +(\S+)", server.log) if "Ctrl+C stops." in server.log else None)
    assert found is not None
    return found[1]


@contextmanager
def serving(log: Path, *options: str, model: Path | str = IRIS, **more: Any) -> Iterator[tuple[ServerProcess, str]]:
    """A server of a model, and its address for gRPC."""
    with ServerProcess(septet_serve(model, "--grpc-port", "0", *options), log, **more) as server:
        yield server, grpc_address(server)


def iris_input(rows: Any = ROWS, datatype: str = "FP32") -> Any:
    """Rows of iris as Triton's client sends them: raw."""
    given = triton.InferInput("input", list(rows.shape), datatype)
    given.set_data_from_numpy(rows)
    return given


def outputs(names: Sequence[str]) -> list[Any]:
    """Wanted outputs."""
    return [triton.InferRequestedOutput(name) for name in names]
