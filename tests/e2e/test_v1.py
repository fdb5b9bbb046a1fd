"""`/v1` of a real server: what TensorFlow Serving's and KServe's callers send over the wire, and what they read.

The payloads are those of the two projects' documentation: their own clients do not install beside what is pinned here.
"""

import shlex
from collections.abc import Iterator

import pytest

from tests.e2e.process import IRIS, ROOT, ServerProcess, septet_serve

ROW = [5.1, 3.5, 1.4, 0.2]
MODEL = "/v1/models/iris"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(septet_serve(IRIS), tmp_path_factory.mktemp("v1") / "log", ready=MODEL) as running:
        yield running


def test_a_row_and_a_tensor_have_the_numbers_of_predict(server: ServerProcess) -> None:
    scores = server.prediction("/predict", {"data": [ROW, ROW]})
    described = server.client.get("/metadata").json()
    (given,) = [each["name"] for each in described["inputs"]]
    name = described["scores"]
    instances = server.post(f"{MODEL}:predict", {"signature_name": "serving_default", "instances": [ROW, ROW]})
    assert [row[name] for row in instances.json()["predictions"]] == scores
    assert server.post(f"{MODEL}:predict", {"inputs": [ROW, ROW]}).json()["outputs"][name] == scores
    assert server.post(f"{MODEL}:predict", {"inputs": {given: [ROW, ROW]}}).json()["outputs"][name] == scores
    version = server.client.get(MODEL).json()["model_version_status"][0]["version"]
    found = server.post(f"{MODEL}/versions/{version}:predict", {"instances": [{given: ROW}]})
    assert found.json()["predictions"][0][name] == scores[0]


def test_the_documented_command_works(server: ServerProcess) -> None:
    lines = [line for line in (ROOT / "docs/serving.md").read_text().splitlines() if line.startswith("curl ")]
    (line,) = [line for line in lines if "/v1/" in line]
    _, address, flag, body = shlex.split(line)
    assert flag == "-d"
    headers = {"content-type": "application/x-www-form-urlencoded"}  # as curl does where it is told of none
    answer = server.client.post(address.removeprefix("localhost:8000"), content=body, headers=headers)
    assert list(answer.json()) == ["predictions"]


def test_a_model_is_ready_and_described(server: ServerProcess) -> None:
    status = server.client.get(MODEL).json()
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert (status["name"], status["ready"]) == ("iris", True)
    assert server.client.get("/v1/models").json() == {"models": ["iris"]}
    known = server.client.get(f"{MODEL}/metadata").json()["metadata"]["signature_def"]["signature_def"]
    (tensor,) = known["serving_default"]["inputs"].values()
    assert [size["size"] for size in tensor["tensor_shape"]["dim"]] == ["-1", "4"]


def test_errors_are_one_message(server: ServerProcess) -> None:
    for path, body, status in (
        (f"{MODEL}:predict", {"instances": [[1, 2]]}, 400),
        (f"{MODEL}:predict", {"data": [ROW]}, 400),
        ("/v1/models/other:predict", {"instances": [ROW]}, 404),
    ):
        answer = server.post(path, body)
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]


def test_requests_are_counted_by_template(server: ServerProcess) -> None:
    server.post(f"{MODEL}:predict", {"instances": [ROW]})
    assert 'route="/v1/models/{model}:predict"' in server.client.get("/metrics").text
