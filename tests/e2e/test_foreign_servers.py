"""The same application under every server it is promised to run under, as real processes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import IRIS, ServerProcess, septet_serve

SERVICES = Path(__file__).parent / "services"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.4, 1.4], [6.3, 3.3, 6.0, 2.5]]
PYTHON = [sys.executable, "-m"]
BIND = "127.0.0.1:{port}"
FOREIGN = {
    "uvicorn": [*PYTHON, "uvicorn", "iris_app:app", "--port", "{port}"],
    "gunicorn": [*PYTHON, "gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-b", BIND, "iris_app:app"],
    "granian": [*PYTHON, "granian", "--interface", "asgi", "--port", "{port}", "iris_app:app"],
    "hypercorn": [*PYTHON, "hypercorn", "-b", BIND, "iris_app:app"],
}
MOUNTED = [*PYTHON, "uvicorn", "mounted_app:app", "--port", "{port}"]
ENVIRONMENT = {"MODEL_UNDER_TEST": str(IRIS)}


def answers(server: ServerProcess, prefix: str = "") -> dict[str, Any]:
    """What a caller can see: predictions in every form, the self-test, metadata, labels, and errors."""
    columns = [column["name"] for column in server.client.get(f"{prefix}/metadata").json()["columns"]]
    records = [dict(zip(columns, row, strict=True)) for row in ROWS]
    path = f"{prefix}/predict"
    refused = server.post(path, {"data": [[1, 2]]}, **{"x-request-id": "refused-1"})
    found = server.post(path, {"data": ROWS}, **{"x-request-id": "mine-1"})
    identity = {name: value for name, value in found.headers.items() if name.startswith("septet-")}
    return {
        "data": found.json(),
        "headers": {**identity, "id": found.headers["x-request-id"]},
        "records": server.prediction(path, {"records": records}),
        "labels": server.prediction(f"{path}/label", {"data": ROWS}),
        "test": server.client.get(f"{path}/test").json()["prediction"],
        "label map": server.client.get(f"{prefix}/label").json(),
        "refused": (refused.status_code, refused.json()),
        "garbage": [
            server.client.post(path, content=body, headers={"content-type": kind}).status_code
            for body, kind in [(b"{", "application/json"), (b"\xff", "application/json"), (b"x", "text/html")]
        ],
        "unknown": server.client.get(f"{prefix}/nothing/here").status_code,
        "method": server.client.delete(path).status_code,
        "head": len(server.client.head(f"{prefix}/health").content),
        "health": server.client.get(f"{prefix}/health").json(),
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The answers of `septet serve`."""
    log = tmp_path_factory.mktemp("own") / "log"
    with ServerProcess(septet_serve(IRIS), log) as server:
        yield answers(server)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_server_gives_the_answers_of_septet_serve(name: str, own: dict[str, Any], tmp_path: Path) -> None:
    with ServerProcess(FOREIGN[name], tmp_path / "log", environment=ENVIRONMENT, folder=SERVICES) as server:
        assert answers(server) == own


def test_a_mount_in_fastapi_gives_the_answers_of_septet_serve(own: dict[str, Any], tmp_path: Path) -> None:
    ready = "/iris/health/ready"
    with ServerProcess(MOUNTED, tmp_path / "log", environment=ENVIRONMENT, folder=SERVICES, ready=ready) as server:
        assert answers(server, "/iris") == own
        assert server.client.get("/own").json() == {"mine": "yes"}


def test_a_mount_names_its_own_place_in_its_openapi(tmp_path: Path) -> None:
    ready = "/iris/health/ready"
    with ServerProcess(MOUNTED, tmp_path / "log", environment=ENVIRONMENT, folder=SERVICES, ready=ready) as server:
        document = server.client.get("/iris/openapi.json").json()
        assert "/predict" in document["paths"]
        assert document["servers"] == [{"url": "/iris"}]
        assert "/own" in server.client.get("/openapi.json").json()["paths"]
