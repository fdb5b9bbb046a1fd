"""While models are swapped under load, each answer names one version in all places: headers, body, log and metrics."""

import asyncio
import json
from typing import Any

import msgspec
import numpy as np

from septet.assembly.composition import application, layout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.response_headers import identity_headers
from septet.service import Service
from septet.settings import Settings
from septet.testing import RecordingObserver
from septet.types import Identity, Predictor, Request, Response, Timings, adapt
from tests.protocols.models import classifier

ROW = b'{"data":[[5.1,3.5,1.4,0.2]]}'
TENSOR = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'
SWAPS = 100


def late(identity: Identity) -> Predictor:
    """Answers some turns of the loop later, as version `version`, with a label that tells it."""
    version = int(identity.version)

    async def predict(request: Request) -> Response:
        for _ in range(3):
            await asyncio.sleep(0)
        tensors: dict[str, Any] = {
            "label": np.full(request.rows, version, np.int64),
            "probabilities": np.full((request.rows, 3), version, np.float32),
        }
        return Response(tensors, request.rows, identity, Timings(0.0, 0.0, request.rows))

    return adapt(predict)


def version_of_model(version: int, closed: list[str]) -> Service:
    identity = Identity("iris", str(version), f"sha256:{version:064x}")
    return msgspec.structs.replace(
        classifier(), identity=identity, predictor=late(identity), close=lambda: closed.append(identity.version)
    )


def versions(reply: HttpReply) -> set[str]:
    """Every version that an answer names."""
    assert reply.status == 200, reply.body
    assert reply.model is not None
    headers = dict(identity_headers(reply.model))
    body = json.loads(reply.body)
    found = {headers[b"septet-model-version"].decode(), str(int(headers[b"septet-model-digest"][7:], 16))}
    if "model_version" in body:
        return found | {body["model_version"], str(body["outputs"][0]["data"][0])}
    return found | {body["model"]["version"], str(int(body["prediction"][0][0]))}


def test_each_answer_names_one_version_while_models_are_swapped() -> None:
    recorder, closed = RecordingObserver(), list[str]()
    replies: list[HttpReply] = []

    async def ask(app: App, path: str, body: bytes, until: asyncio.Event) -> None:
        while not until.is_set():
            replies.append(await app(HttpRequest("POST", path, b"", {}, body)))

    async def story() -> None:
        app = App()
        app.models.install(version_of_model(0, closed))
        application(app, Settings(), recorder, SharedMetrics(layout(1)).snapshot, ["iris"])
        over = asyncio.Event()
        paths = [("/predict", ROW), ("/v2/models/iris/infer", TENSOR)] * 4
        asking = [asyncio.ensure_future(ask(app, *each, over)) for each in paths]
        await asyncio.sleep(0)
        swapped = []
        for version in range(1, SWAPS + 1):
            swapped.append(app.models.swap(version_of_model(version, closed)))
            for _ in range(10):
                await asyncio.sleep(0)
        over.set()
        await asyncio.gather(*asking, *swapped)

    asyncio.run(story())
    assert all(len(versions(reply)) == 1 for reply in replies)
    assert len({version for reply in replies for version in versions(reply)}) == SWAPS + 1
    assert closed == [str(version) for version in range(SWAPS)]
    logged = [event.model.version for event in recorder.events if event.model is not None]
    assert logged == [reply.model.version for reply in replies if reply.model is not None]


def test_a_model_that_was_installed_since_the_start_is_told_of_as_the_others() -> None:
    async def story() -> None:
        app = App()
        app.models.install(version_of_model(0, []))
        application(app, Settings(), RecordingObserver(), SharedMetrics(layout(1)).snapshot, ["iris"])
        other = msgspec.structs.replace(version_of_model(1, []), identity=Identity("other", "1", "sha256:" + "0" * 64))
        app.models.install(other)
        for path in ("/v2/models/other/stats", "/v2/models/stats", "/metrics", "/openapi.json", "/models"):
            reply = await app(HttpRequest("GET", path, b"", {}, b""))
            assert (reply.status, b"other" in reply.body) == (200, True), path

    asyncio.run(story())
