"""A schema-driven fuzzer that knows nothing of Septet holds live servers against their own OpenAPI documents."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from septet.assembly.composition import SERVER_OWNERS
from septet.protocols.http.routes import declared_routes
from tests.budgets import examples
from tests.e2e.process import ServerProcess, septet_serve
from tests.e2e.test_malformed import made

JSON = "application/json"
PHASES = "examples,coverage,fuzzing"
SERVERS_OWN = {route.template for owner in SERVER_OWNERS for route in declared_routes(owner)}
OPTIONS = ["--seed", "7", "--no-color", "--suppress-health-check", "all"]


def only(document: Any, wanted: Callable[[str, str | None], bool]) -> Any:
    """The document with the wanted bodies alone, by path and media type; None is an operation without a body."""
    made = copy.deepcopy(document)
    for path, operations in made["paths"].items():
        for method, operation in list(operations.items()):
            content = operation.get("requestBody", {}).get("content", {})
            kept = {media: each for media, each in content.items() if wanted(path, media)}
            if kept:
                operation["requestBody"]["content"] = kept
            elif content or not wanted(path, None):
                del operations[method]
    made["paths"] = {path: operations for path, operations in made["paths"].items() if operations}
    return made


def judge(server: ServerProcess, folder: Path, document: Any, *options: str, phases: str = PHASES) -> None:
    """Run the fuzzer over a document against a server."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    url = f"http://127.0.0.1:{server.port}"
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(path), "--url", url, f"--phases={phases}", *OPTIONS]
    # The fuzzer is none of what is covered: to trace it would only make it slow.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert server.process.poll() is None
    assert "Traceback" not in server.log


@pytest.mark.parametrize("name", ["columns", "mixed", "tensor"])
def test_a_server_does_what_its_document_says(name: str, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(made(name, tmp_path)), tmp_path / "log") as server:
        document = server.client.get("/openapi.json").json()
        # No schema describes the text of a CSV file or the bytes of an array: what fits it may still be refused. Nor
        # does any say that a shape counts the values beside it.
        loose = only(document, lambda path, media: media is not None and (media != JSON or path.endswith("/infer")))
        judge(
            server, tmp_path, loose, "--max-examples", str(examples(5)), "--exclude-checks", "positive_data_acceptance"
        )
        # What is of no model is the same for all of them.
        judged = SERVERS_OWN if name != "columns" else set()
        strict = only(
            document,
            lambda path, media: media in (JSON, None) and not path.endswith("/infer") and path not in judged,
        )
        # Nor that several inputs have the same number of rows.
        also = ("--exclude-checks", "positive_data_acceptance") if name == "mixed" else ()
        judge(server, tmp_path, strict, "--max-examples", str(examples(10)), *also)


def test_a_server_of_several_models_does_what_its_document_says(tmp_path: Path) -> None:
    command = [*septet_serve(made("columns", tmp_path)), str(made("tensor", tmp_path))]
    with ServerProcess(command, tmp_path / "log") as server:
        document = server.client.get("/openapi.json").json()
        strict = only(document, lambda path, media: media in (JSON, None) and not path.endswith("/infer"))
        assert len([path for path in strict["paths"] if path.endswith("/predict")]) == 2
        # Each alone was asked everything that its schemas suggest; here each is asked by the schemas of its own.
        judge(server, tmp_path, strict, "--max-examples", str(examples(10)), phases="examples,fuzzing")
