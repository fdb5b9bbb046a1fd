"""A schema-driven fuzzer that knows nothing of Septet holds live servers against their own OpenAPI documents."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import ServerProcess, septet_serve
from tests.e2e.test_malformed import made

OPTIONS = ["--phases", "examples,coverage,fuzzing", "--seed", "7", "--no-color", "--suppress-health-check", "all"]


def judge(server: ServerProcess, folder: Path, document: Any, *options: str) -> None:
    """Run the fuzzer over a document against a server."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    url = f"http://127.0.0.1:{server.port}"
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(path), "--url", url, *OPTIONS, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, cwd=folder)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert server.process.poll() is None
    assert "Traceback" not in server.log


@pytest.mark.parametrize("name", ["columns", "mixed", "tensor"])
def test_a_server_does_what_its_document_says(name: str, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(made(name, tmp_path)), tmp_path / "log") as server:
        document = server.client.get("/openapi.json").json()
        # No schema describes the text of a CSV file or the bytes of an array: what fits it may still be refused.
        judge(server, tmp_path, document, "--max-examples", "5", "--exclude-checks", "positive_data_acceptance")
        for operations in document["paths"].values():
            for operation in operations.values():
                content = operation.get("requestBody", {}).get("content", {})
                for media in [media for media in content if media != "application/json"]:
                    del content[media]
        # Nor does any schema say that a shape counts the values beside it.
        document["paths"] = {path: each for path, each in document["paths"].items() if not path.endswith("/infer")}
        # Nor that several inputs have the same number of rows.
        also = ("--exclude-checks", "positive_data_acceptance") if name == "mixed" else ()
        judge(server, tmp_path, document, "--max-examples", "10", *also)
