"""A package that takes pictures: served in every form and protocol, each gives the estimator's own answers."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

import septet
from septet.cli.main import main
from septet.testing import TestClient
from septet.types import Array
from tests.e2e.pictures import FINISH, PREPARE, digits, saved
from tests.e2e.process import ServerProcess, free_port, septet_serve

PICTURES, PIXELS, _ = digits()
ASKED, SHOWN = PICTURES[300:305], PIXELS[300:305]
TEXTS = [b64encode(each).decode() for each in ASKED]


class Served:
    """The package of pictures behind a server, and the estimator's scores for those that are asked."""

    def __init__(self, server: ServerProcess, package: Path, trust: str, scores: Array, grpc_port: int) -> None:
        self.server, self.package, self.trust, self.scores, self.grpc_port = server, package, trust, scores, grpc_port

    def same(self, scores: Any) -> None:
        """Assert that scores are the estimator's."""
        np.testing.assert_allclose(np.array(scores, np.float64).reshape(len(ASKED), -1), self.scores, atol=1e-5)

    def post(self, path: str, body: Any, kind: str = "application/json") -> Any:
        """The JSON of an answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.server.client.post(path, content=content, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pictures")
    made, scores = saved(folder)
    (trust,) = made.trust
    port = free_port()
    command = septet_serve(made.package.root, "--trust", trust, "--grpc-port", str(port))
    with ServerProcess(command, folder / "log") as server:
        yield Served(server, made.package.root, trust, scores(SHOWN), port)


def test_json_takes_pictures_as_base64_in_each_form(served: Served) -> None:
    forms = {
        "data": [[text] for text in TEXTS],
        "records": [{"picture": text} for text in TEXTS],
        "inputs": {"picture": TEXTS},
    }
    for form, value in forms.items():
        served.same(served.post("/predict", {form: value})["prediction"])


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream"])
def test_a_body_is_one_picture(served: Served, kind: str) -> None:
    served.same([served.post("/predict", picture, kind)["prediction"] for picture in ASKED])
    labels = [served.post("/predict/label", picture, kind)["prediction"] for picture in ASKED]
    assert [int(label) for (label,) in labels] == served.scores.argmax(axis=1).tolist()


def test_csv_has_base64_in_its_cells(served: Served) -> None:
    served.same(served.post("/predict", "\n".join(["picture", *TEXTS]).encode(), "text/csv")["prediction"])


def test_the_other_protocols_take_pictures(served: Served) -> None:
    instances = [{"b64": text} for text in TEXTS]
    rows = served.post("/v1/models/digits:predict", {"instances": instances})["predictions"]
    served.same([row["probabilities"] for row in rows])
    frame = {"dataframe_split": {"columns": ["picture"], "data": [[text] for text in TEXTS]}}
    assert served.post("/invocations", frame)["predictions"] == served.scores.argmax(axis=1).tolist()
    inputs = [{"name": "picture", "shape": [len(TEXTS)], "datatype": "BYTES", "data": TEXTS}]
    for _ in range(2):
        outputs = served.post("/v2/models/digits/infer", {"inputs": inputs})["outputs"]
        served.same(next(each["data"] for each in outputs if each["name"] == "probabilities"))


def test_triton_sends_pictures_as_raw_tensors(served: Served) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{served.server.port}") as client:
        given = triton.InferInput("picture", [len(ASKED)], "BYTES")
        given.set_data_from_numpy(np.array(ASKED, object))
        served.same(client.infer("digits", [given]).as_numpy("probabilities"))


@pytest.mark.parametrize("transport", ["binary", "json", "grpc"])
def test_clients_take_bytes_in_each_form(served: Served, transport: Any) -> None:
    url = f"grpc://127.0.0.1:{served.grpc_port}" if transport == "grpc" else str(served.server.client.base_url)
    more = {} if transport == "grpc" else {"transport": transport}
    with septet.Client(url, timeout=20.0, **more) as client:
        served.same(client.predict([[each] for each in ASKED]))
        served.same(client.predict([{"picture": each} for each in ASKED]))
        served.same(client.predict(np.array(ASKED, object)))
        served.same(client.predict({"picture": ASKED})["probabilities"])
        served.same(client.predict(pd.DataFrame({"picture": ASKED})).to_numpy())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_septet_predict_reads_pictures_from_a_table(served: Served, suffix: str, tmp_path: Path) -> None:
    rows = tmp_path / f"rows.{suffix}"
    written = {
        "csv": "\n".join(["picture", *TEXTS]),
        "jsonl": "\n".join(json.dumps({"picture": text}) for text in TEXTS),
        "json": json.dumps([[text] for text in TEXTS]),
    }
    rows.write_text(written[suffix])
    command = [
        sys.executable,
        "-m",
        "septet",
        "predict",
        str(served.package),
        "--trust",
        served.trust,
        "--data",
        str(rows),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    served.same([json.loads(line) for line in done.stdout.splitlines()])


def test_what_is_no_picture_is_the_callers_fault(served: Served) -> None:
    client = served.server.client
    answer = client.post("/predict", content=b"no picture", headers={"content-type": "image/png"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert "no PGM" in answer.json()["error"]["message"]
    problem = client.post("/predict", json={"data": [[TEXTS[0]], ["§"]]}).json()["error"]["details"][0]
    assert (problem["row"], problem["column"]) == (1, "picture")
    assert client.post("/predict", content=b"x", headers={"content-type": "text/plain"}).status_code == 415


def test_what_describes_the_model_knows_bytes(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    client = served.server.client
    metadata = client.get("/metadata").json()
    assert metadata["columns"][0]["dtype"] == "bytes"
    answer = served.post("/predict", {"data": metadata["data_sample"]})["prediction"]
    np.testing.assert_allclose(answer, metadata["prediction_sample"], rtol=1e-6)
    assert client.get("/predict/test").status_code == 200
    assert "image/png" in client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    for path in ("/", "/docs", "/v1/models/digits/metadata", "/v2/models/digits/config"):
        assert client.get(path).status_code == 200
    assert main(["inspect", str(served.package)]) == 0
    assert "bytes" in capsys.readouterr().out
    assert main(["check", str(served.package), "--trust", served.trust]) == 0
    profile = json.loads((served.package / "profile.json").read_text())["columns"]["picture"]
    assert (profile["dtype"], profile["numbers"]["minimum"]) == ("bytes", 75.0)


def test_a_package_may_answer_bytes(tmp_path: Path) -> None:
    made, _ = saved(tmp_path, PREPARE + FINISH)
    with TestClient(septet.asgi(made.package.root, trust=made.trust)) as client:
        answer = client.post(
            "/v2/models/digits/infer",
            {
                "inputs": [{"name": "picture", "shape": [1], "datatype": "BYTES", "data": TEXTS[:1]}],
                "outputs": [{"name": "thumbnail"}, {"name": "label"}],
            },
        ).json()["outputs"]
    label = answer[1]["data"][0]
    assert answer[0]["data"] == [b64encode(bytes([label, 0])).decode()]
