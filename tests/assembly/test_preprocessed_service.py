"""Preprocessing code stands before the model of another server, which is served like any other."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pytest

import septet
from septet.assembly.composition import open_service
from septet.assembly.preprocessed_service import preprocessed_service
from septet.errors import StaleModel, Untrusted
from septet.model.freshness import Freshness
from septet.model.signature import Column, Tensor
from septet.remote.remote_service import remote_service
from septet.settings import Settings
from septet.testing import TestClient
from tests.e2e.process import IRIS
from tests.remote.serving import ServedApp

PREPARE = """
import numpy as np

def prepare(columns):
    return {"input": np.stack([np.frombuffer(each, "<f4") for each in columns["flower"]])}
"""
FINISH = """
def finish(outputs):
    return {"best": outputs["probabilities"].max(axis=1)}
"""
FLOWER = np.array([5.1, 3.5, 1.4, 0.2], "<f4")
COLUMNS = [Column("flower", "bytes", max_bytes=16)]


def code(folder: Path, text: str = PREPARE) -> tuple[Path, list[str]]:
    """A file of preprocessing code, and the digest that trusts it."""
    file = folder / "own.py"
    file.write_text(text)
    return file, [sha256(text.encode()).hexdigest()]


def test_a_remote_model_is_served_behind_code_of_our_own(tmp_path: Path) -> None:
    file, trust = code(tmp_path)
    with ServedApp(open_service(IRIS, Settings())) as peer:
        service = preprocessed_service(
            remote_service(peer.url),
            file,
            COLUMNS,
            trust=trust,
            sample={"flower": np.array([FLOWER.tobytes()], object)},
        )
        wanted = peer.client.post("/predict", json={"data": [FLOWER.tolist()]}).json()
        with TestClient(septet.asgi(service)) as client:
            for sent in (
                {"content": FLOWER.tobytes(), "headers": {"content-type": "application/octet-stream"}},
                {"json": {"records": [{"flower": b64encode(FLOWER.tobytes()).decode()}]}},
            ):
                answer = client.request("POST", "/predict", **sent)
                assert answer.json()["prediction"] == wanted["prediction"]
                assert answer.json()["model"] == wanted["model"]
            metadata = client.get("/metadata").json()
            assert metadata["preprocessing"] == {"file": "own.py", "digest": f"sha256:{trust[0]}"}
            assert client.get("/predict/test").status == 200
            refused = client.request(
                "POST", "/predict", content=bytes(17), headers={"content-type": "application/octet-stream"}
            )
            assert "at most 16 bytes" in refused.json()["error"]["message"]
        service.close()


def test_code_may_make_other_outputs(tmp_path: Path) -> None:
    file, trust = code(tmp_path, PREPARE + FINISH)
    service = preprocessed_service(
        open_service(IRIS, Settings()), file, COLUMNS, trust=trust, outputs=[Tensor("best", "float32", (None,))]
    )
    with TestClient(septet.asgi(service)) as client:
        (best,) = client.post("/predict", {"inputs": {"flower": [b64encode(FLOWER.tobytes()).decode()]}}).json()[
            "prediction"
        ]
        assert 0.9 < best <= 1
        assert client.get("/predict/test").status == 404
    service.close()


def test_the_code_must_be_trusted(tmp_path: Path) -> None:
    file, _ = code(tmp_path)
    with pytest.raises(Untrusted):
        preprocessed_service(open_service(IRIS, Settings()), file, COLUMNS, trust=[])


def test_a_service_that_is_too_old_is_refused_like_a_model_at_a_path() -> None:
    iris = open_service(IRIS, Settings())
    service = msgspec.structs.replace(
        iris,
        identity=msgspec.structs.replace(iris.identity, name="old"),
        freshness=lambda: Freshness("error", 1000, "it is old"),
    )
    with pytest.raises(StaleModel):
        septet.asgi(service)
    with TestClient(septet.asgi(service, IRIS, allow_missing=True, allow_stale=False)) as client:
        assert list(client.get("/models").json()["missing"]) == ["old"]
