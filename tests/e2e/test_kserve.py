"""KServe's own client, over REST and gRPC, against a real server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import IRIS, ROOT, ServerProcess, free_port, septet_serve

# `scripts/test` makes it.
PYTHON = ROOT / "build" / "kserve-venv" / "bin" / "python"
CALLS = Path(__file__).parent / "services" / "kserve_calls.py"
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.mark.skipif(not PYTHON.exists(), reason="scripts/test makes an environment for KServe's client")
def test_kserves_client_gets_the_same_answers_whichever_way_it_asks(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(septet_serve(IRIS, "--grpc-port", str(port)), tmp_path / "log") as server:
        url = f"http://127.0.0.1:{server.port}"
        command = [str(PYTHON), str(CALLS), url, f"127.0.0.1:{port}", "iris", json.dumps(ROW)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        assert said["rest health"] == said["grpc health"] == [True, True, True]
        ways = [said[f"{way} {form}"] for way in ("rest", "grpc") for form in ("binary", "typed")]
        assert ways == [ways[0]] * 4
        assert ways[0]["label"] == [0]
        prediction = server.prediction("/predict", {"data": [ROW]})
        assert ways[0]["probabilities"] == prediction
        assert said["v1"]["predictions"] == [{"label": 0, "probabilities": prediction[0]}]
