"""`/invocations` of a real server, asked by MLflow's own client, and with the payloads of SageMaker's serializers."""

import io
import os
import shlex
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.e2e.process import IRIS, ROOT, ServerProcess, septet_serve

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(septet_serve(IRIS), tmp_path_factory.mktemp("invocations") / "log", ready="/ping") as running:
        yield running


def imported(module: str) -> Any:
    """A module of MLflow, which takes seconds to import."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own types while it is imported
        return import_module(f"mlflow.{module}")


@pytest.fixture
def mlflow(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return imported("pyfunc.scoring_server.client").ScoringServerClient("127.0.0.1", server.port)


def classes(server: ServerProcess) -> list[int]:
    """What `predict()` of the model gives: it was fitted on numbers, which have names only in its package."""
    places = {name: int(place) for place, name in server.client.get("/label").json().items()}
    return [places[name] for name in server.prediction("/predict/label", {"data": ROWS})]


def frame(server: ServerProcess) -> pd.DataFrame:
    columns = [column["name"] for column in server.client.get("/metadata").json()["columns"]]
    return pd.DataFrame(ROWS, columns=columns)


def test_mlflows_client_sends_frames_arrays_and_lists(server: ServerProcess, mlflow: Any) -> None:
    mlflow.ping()
    table = frame(server)
    shuffled = table[table.columns[::-1]].set_index(pd.Index(["a", "b"]))
    for data in (table, shuffled, np.array(ROWS), ROWS):
        assert mlflow.invoke(data)["predictions"] == classes(server)
    assert mlflow.invoke(table, params={"any": "thing"})["predictions"] == classes(server)
    assert mlflow.invoke(table).get_predictions().iloc[:, 0].tolist() == classes(server)


def test_mlflows_client_is_told_of_a_missing_value(server: ServerProcess, mlflow: Any) -> None:
    table = frame(server)
    table.iloc[1, 2] = np.nan
    with pytest.raises(Exception, match="error code 400") as caught:
        mlflow.invoke(table)
    assert repr(table.columns[2]) in str(caught.value)


def test_the_codes_of_errors_are_mlflows(server: ServerProcess) -> None:
    for body in (b"{", b"{}", b'{"instances":[[1]]}'):
        answer = server.client.post("/invocations", content=body, headers={"content-type": "application/json"})
        found = answer.json()
        assert imported("exceptions").ERROR_CODE_TO_HTTP_STATUS[found["error_code"]] == answer.status_code
        assert sorted(found) == ["error_code", "message"]


def test_pandas_csv_is_read_with_its_header(server: ServerProcess) -> None:
    text = frame(server).to_csv(index=False)
    answer = server.client.post("/invocations", content=text, headers={"content-type": "text/csv"})
    assert answer.json() == {"predictions": classes(server)}


def test_the_documented_command_works(server: ServerProcess) -> None:
    lines = [line for line in (ROOT / "docs/serving.md").read_text().splitlines() if line.startswith("curl ")]
    (line,) = [line for line in lines if "/invocations" in line]
    _, address, _, header, _, body = shlex.split(line)
    name, _, value = header.partition(": ")
    answer = server.client.post(address.removeprefix("localhost:8000"), content=body, headers={name: value})
    assert answer.json() == {"predictions": classes(server)[:1]}


def test_sagemakers_serializers_are_understood(server: ServerProcess) -> None:
    bare = "\n".join(",".join(map(str, row)) for row in ROWS)
    saved = io.BytesIO()
    np.save(saved, np.array(ROWS, np.float32))
    for body, kind in ((bare.encode(), "text/csv"), (saved.getvalue(), "application/x-npy")):
        headers = {"content-type": kind, "accept": "text/csv"}
        answer = server.client.post("/invocations", content=body, headers=headers)
        assert answer.headers["content-type"] == "text/csv"
        assert answer.text == "".join(f"{each}\n" for each in classes(server))
