"""Servers to call."""

from pathlib import Path
from typing import Self

import septet
from tests.e2e.process import ServerProcess, free_port, septet_serve
from tests.waiting import until


class GrpcServerProcess(ServerProcess):
    """A server that speaks gRPC, too."""

    def __init__(self, path: Path, folder: Path, *options: str) -> None:
        self.grpc_port = free_port()
        super().__init__(septet_serve(path, "--grpc-port", str(self.grpc_port), *options), folder / "log")

    def __enter__(self) -> Self:
        super().__enter__()
        with septet.Client(f"grpc://127.0.0.1:{self.grpc_port}", timeout=5.0) as client:
            until(client.ready)
        return self
