"""The public doubles: services without a model, a client without sockets, an observer that remembers."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet import testing
from septet.errors import Overloaded
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.types import Identity, Predictor, Request, adapt

IRIS = Path(__file__).parents[2] / "examples" / "iris"
ROWS = {"data": [[1.0], [2.5]]}
SPECIES = Signature(
    Kind.CLASSIFICATION,
    (Tensor("X", "float32", (None, 2), (Column("width", "float32"), Column("length", "float32"))),),
    (Tensor("label", "string", (None,)), Tensor("scores", "float32", (None, 2))),
    label="label",
    scores="scores",
    labels=("setosa", "virginica"),
)


def test_a_service_answers_every_row_as_it_was_told() -> None:
    service = testing.service(SPECIES, {"label": ["virginica"], "scores": [[0.25, 0.75]]})
    with testing.TestClient(service) as client:
        response = client.post("/predict", {"data": [[1.0, 2.0]] * 3})
        assert response.status == 200
        assert response.json()["prediction"] == [[0.25, 0.75]] * 3
        assert client.post("/predict", {"data": [[1.0]]}).status == 422


def test_a_service_of_which_nothing_is_told_answers_nothing_but_zeros() -> None:
    with testing.TestClient(testing.service()) as client:
        assert client.post("/predict", ROWS).json()["prediction"] == [0.0, 0.0]
    with testing.TestClient(testing.service(SPECIES)) as client:
        assert client.get("/health/ready").status == 200
        assert client.post("/predict", {"data": [[1.0, 2.0]]}).json()["prediction"] == [[0.0, 0.0]]


def test_an_answer_that_lacks_an_output_or_has_another_type_is_refused() -> None:
    with pytest.raises(KeyError, match="scores"):
        testing.service(SPECIES, {"label": ["setosa"]})
    with pytest.raises(ValueError, match="could not convert"):
        testing.service(answer={"y": [["much"]]})


def test_every_route_of_a_server_is_there() -> None:
    service = testing.service(SPECIES, {"label": ["setosa"], "scores": [[0.75, 0.25]]})
    with testing.TestClient(service) as client:
        document = client.get("/openapi.json").json()
        gettable = [path for path, each in document["paths"].items() if "get" in each]
        assert {path: client.get(path).status for path in gettable} == dict.fromkeys(gettable, 200)
        assert client.get("/metrics").text.startswith("# HELP")
        assert client.get("/nowhere").status == 404
        assert client.request("DELETE", "/predict").status == 405


def test_several_services_stand_side_by_side() -> None:
    one, two = (testing.service(identity=Identity(name, "3", "sha256:" + "1" * 64)) for name in ("one", "two"))
    with testing.TestClient(testing.application(one, two)) as client:
        response = client.post("/models/two/predict", ROWS)
        assert response.status == 200
        assert response.headers["septet-model"] == "two"
        assert client.post("/predict", ROWS).status == 404


def test_an_echo_gives_back_what_it_was_asked() -> None:
    service = testing.service(predictor=testing.EchoPredictor(("y",)))
    with testing.TestClient(service) as client:
        assert client.post("/predict", ROWS).json()["prediction"] == [1.0, 2.5]


def test_an_echo_keeps_the_names_of_inputs_by_default() -> None:
    response = asyncio.run(testing.EchoPredictor().predict(Request({"x": np.ones((2, 1))}, 2, "an-id")))
    assert list(response.tensors) == ["x"]


def test_only_the_wanted_outputs_are_answered() -> None:
    predictor = testing.ConstantPredictor({"a": np.zeros(1), "b": np.ones(1)})
    response = asyncio.run(predictor.predict(Request({}, 2, "an-id", ("b",))))
    assert {name: array.tolist() for name, array in response.tensors.items()} == {"b": [1.0, 1.0]}


def test_what_fails_gives_the_caller_the_error() -> None:
    service = testing.service(predictor=testing.FailingPredictor(Overloaded("Too much at once.")))
    with testing.TestClient(service) as client:
        response = client.post("/predict", ROWS)
    assert response.status == 429
    assert response.json()["error"]["message"] == "Too much at once."


def test_a_held_request_is_answered_once_it_is_released() -> None:
    async def asked() -> None:
        held = testing.HeldPredictor(testing.EchoPredictor(("y",)))
        observer = testing.RecordingObserver()
        app = testing.application(testing.service(predictor=held), observer=observer)
        tasks = [asyncio.create_task(testing.asgi_request(app, "POST", "/predict", json=ROWS)) for _ in range(2)]
        await held.until_held(2)
        await held.until_held()
        assert observer.in_flight == 2
        assert not observer.events
        held.release()
        assert [(await task).json()["prediction"] for task in tasks] == [[1.0, 2.5]] * 2
        assert [(event.route, event.code, event.rows) for event in observer.events] == [("/predict", "ok", 2)] * 2
        assert observer.in_flight == 0

    asyncio.run(asked())


def test_requests_pass_a_predictor_that_holds_none_for_now() -> None:
    async def asked() -> None:
        held = testing.HeldPredictor(testing.EchoPredictor(), holding=False)
        recording = testing.RecordingPredictor(held)
        assert (await recording.predict(Request({}, 1, "one"))).rows == 1
        held.holding = True
        waiting = asyncio.create_task(recording.predict(Request({}, 2, "two")))
        await held.until_held()
        held.release()
        assert (await waiting).rows == 2
        assert [request.id for request in recording.requests] == ["one", "two"]

    asyncio.run(asked())


def test_a_held_request_may_be_answered_one_by_one_or_be_given_up() -> None:
    async def asked() -> None:
        held = testing.HeldPredictor(testing.EchoPredictor())
        first, second = (asyncio.create_task(held.predict(Request({}, 1, name))) for name in ("one", "two"))
        await held.until_held(2)
        assert [each.request.id for each in held.held] == ["one", "two"]
        held.held[0].answer(Overloaded("no"))
        with pytest.raises(Overloaded):
            await first
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert held.held[1].cancelled
        held.held[1].release()
        held.held[1].answer(Overloaded("no"))

    asyncio.run(asked())


def test_middleware_stands_around_the_predictor_the_first_one_outermost() -> None:
    seen: list[str] = []

    def named(name: str) -> Callable[[Predictor], Predictor]:
        def wrap(inner: Predictor) -> Predictor:
            async def predict(request: Request) -> Any:
                seen.append(name)
                return await inner.predict(request)

            return adapt(predict)

        return wrap

    app = testing.application(testing.service(), middleware=[named("outer"), named("inner")])
    with testing.TestClient(app) as client:
        assert client.post("/predict", ROWS).status == 200
    assert seen == ["outer", "inner"]


def test_the_client_serves_the_model_at_a_path() -> None:
    with testing.TestClient(IRIS) as client:
        assert client.get("/health/ready").status == 200
        response = client.post("/predict", {"data": [[5.1, 3.5, 1.4, 0.2]]}, headers={"X-Request-Id": "mine"})
    assert response.headers["x-request-id"] == "mine"
    assert response.json()["model"]["name"] == "iris"


def test_the_client_asks_any_asgi_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        told = [scope["method"], scope["path"], scope["query_string"].decode(), message["body"].decode()]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-count", b"4")]})
        for word in told:
            await send({"type": "http.response.body", "body": json.dumps(word).encode(), "more_body": True})
        await send({"type": "http.response.body"})

    with testing.TestClient(app) as client:
        response = client.post("/a%20b?c=d", content=b"body")
    assert (response.status, response.headers) == (201, {"x-count": "4"})
    assert response.text == '"POST""/a b""c=d""body"'


def test_an_application_that_waits_for_the_end_of_the_connection_is_not_told_of_one() -> None:
    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        gone.cancel()

    with testing.TestClient(app) as client:
        assert client.get("/").status == 204
