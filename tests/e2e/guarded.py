"""A server with keys, whose requests can be held back."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
from tritonclient.grpc import service_pb2

from tests.e2e.grpc_server import ROWS, grpc_address
from tests.e2e.process import IRIS, ServerProcess, septet_serve

STATED, FILED, FAST, NARROW, SHARED = (
    f"{name}-key-0123456789" for name in ("stated", "filed", "fast", "narrow", "all")
)
BODY = {"data": [[5.1, 3.5, 1.4, 0.2]]}
RATE = 5
ORIGIN = "https://app.example.com"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def entry(name: str, key: str, more: str = "") -> str:
    return f'[[keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n{more}\n'


KEYS = "".join(
    (
        entry("filed", FILED),
        entry("fast", FAST, f"requests_per_second = {RATE}"),
        entry("narrow", NARROW, "in_flight = 2"),
        entry("shared", SHARED, "requests_per_second = 20\nin_flight = 3"),
    )
)


class Guarded:
    """A server with keys, whose requests can be held back."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server, self.folder, self.grpc = server, folder, grpc_address(server)
        self.client, self.barrier = server.client, folder / "held"

    def predict(self, key: str | None, client: httpx.Client | None = None) -> httpx.Response:
        return (client or self.client).post("/predict", json=BODY, headers={} if key is None else bearer(key))

    def replace_keys(self, text: str) -> None:
        """Put another key file in place, as `mv` does."""
        new = self.folder / "new.toml"
        new.write_text(text)
        new.replace(self.folder / "keys.toml")

    def metric(self, name: str, **labels: str) -> float:
        page = self.client.get("/metrics", headers=bearer(STATED)).text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [line for line in page.splitlines() if line.startswith(name) and all(each in line for each in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


def serving_guarded(folder: Path, *options: str) -> tuple[ServerProcess, Path]:
    (folder / "keys.toml").write_text(KEYS)
    command = septet_serve(
        IRIS,
        *("--grpc-port", "0", "--api-keys-file", str(folder / "keys.toml"), "--access-log"),
        *("--middleware", "tests.e2e.services.held:held", "--admin-socket", "none", *options),
    )
    environment = {"SEPTET_API_KEYS": f"stated={STATED}", "HELD": str(folder / "held")}
    return ServerProcess(command, folder / "log", environment=environment), folder


def infer(address: str, metadata: Sequence[tuple[str, str]] = (), method: str = "ModelInfer") -> Any:
    message = service_pb2.ModelInferRequest(model_name="iris")
    message.inputs.add(name="input", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend(ROWS[0].tolist())
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}", _registered_method=False)
        try:
            call(message.SerializeToString(), metadata=list(metadata), timeout=30)
        except grpc.RpcError as error:
            return error
    return None


def answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except httpx.TransportError:
        return False
