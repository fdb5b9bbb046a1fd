"""The model of another server is a service: it is served like a model of our own, with the same answers and errors."""

import asyncio
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.assembly.composition import open_service
from septet.errors import DeadlineExceeded, Invalid, StartupError, Unavailable
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs import examples
from septet.remote.channel_factory import async_channel
from septet.remote.remote_model import RemoteModel
from septet.remote.remote_predictor import MOST_DIGESTS, RemotePredictor
from septet.remote.remote_service import remote_service
from septet.remote.server_address import parse_address
from septet.service import Service
from septet.settings import Settings
from septet.testing import HeldPredictor, RecordingPredictor
from septet.types import Identity, Request, Response, Timings, adapt
from tests.e2e.process import IRIS, free_port
from tests.protocols import models
from tests.remote.serving import ServedApp, held, recorded
from tests.waiting import until

SERVICES = models.every_kind()
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.4, 1.4], [6.3, 3.3, 6.0, 2.5]]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def iris() -> Service:
    """A real model."""
    return open_service(IRIS, Settings())


def moments() -> Service:
    """A model of moments and texts of which some may be missing."""
    columns = (
        Column("at", "datetime64[ms]", nullable=True, timezone="Europe/Berlin"),
        Column("day", "datetime64[s]"),
        Column("note", "string", nullable=True),
        Column("size", "float64", nullable=True),
    )
    inputs = tuple(Tensor(each.name, each.dtype, (None, 1), (each,)) for each in columns)
    outputs = (Tensor("next", "datetime64[ms]", (None,)), Tensor("text", "string", (None,)))
    sample = {"at": [["2026-03-01T12:00:00"]], "day": [["2026-03-01T00:00:00"]], "note": [["a"]], "size": [[1.5]]}
    return models.service(
        Signature(Kind.TENSORS, inputs, outputs), sample, {"next": ["2026-03-02T12:00:00.125"], "text": ["é"]}
    )


def bodies(service: Service) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests for a service's sample over each protocol, by path."""
    assert service.sample is not None
    inputs = examples.inputs(service.signature, service.sample)
    rows = examples.data(service.signature, service.sample)
    for path in ("/predict", "/predict/label"):
        yield path, {"inputs": inputs}
    if rows is not None:
        yield "/predict", {"data": rows * 3}
        yield "/invocations", {"inputs": rows}
    yield "/v1/models/iris:predict", {"inputs": inputs}


@pytest.mark.parametrize("transport", ["binary", "json", "grpc"])
@pytest.mark.parametrize("name", [*SERVICES, "moments"])
def test_a_remote_model_is_asked_and_answers_as_it_does_itself(name: str, transport: Any) -> None:
    own, recorder = recorded(moments() if name == "moments" else SERVICES[name])
    with ServedApp(own, grpc=transport == "grpc") as peer:
        url = peer.grpc_url if transport == "grpc" else peer.url
        service = remote_service(url, transport=None if transport == "grpc" else transport)
        assert (service.identity, service.signature) == (own.identity, own.signature)
        recorder.requests.clear()
        with ServedApp(service) as hop:
            for path, body in bodies(own):
                direct, through = (each.client.post(path, json=body) for each in (peer, hop))
                assert (through.status_code, shown(through)) == (direct.status_code, shown(direct)), path
            for path in ("/predict/test", "/label", "/v2/models/iris"):
                direct, through = (each.client.get(path) for each in (peer, hop))
                assert through.status_code == direct.status_code, path
            service.close()
    asked = [request.tensors for request in recorder.requests]
    for one, other in zip(asked[::2], asked[1::2], strict=False):
        assert one.keys() == other.keys()
        for tensor in one:
            assert one[tensor].dtype == other[tensor].dtype
            np.testing.assert_array_equal(one[tensor], other[tensor])


def shown(response: Any) -> Any:
    """A body without its id."""
    said = response.json()
    said.pop("id", None)
    if "error" in said and isinstance(said["error"], dict):
        said["error"].pop("id")
    return said


@pytest.mark.parametrize("transport", ["binary", "json", "grpc"])
def test_missing_values_and_texts_arrive_as_they_were_sent(transport: Any) -> None:
    own, recorder = recorded(moments())
    records = [
        {"at": None, "day": "2026-03-01T00:00:00", "note": None, "size": None},
        {"at": "2026-03-01T12:00:00.250+02:00", "day": "1969-12-31T23:59:59", "note": 'ß"\\', "size": -0.0},
        {"at": "2026-03-01T12:00:00Z", "day": "2026-03-01T00:00:00", "note": "", "size": 1e300},
    ]
    with ServedApp(own, grpc=transport == "grpc") as peer:
        url = peer.grpc_url if transport == "grpc" else peer.url
        service = remote_service(url, transport=None if transport == "grpc" else transport)
        with ServedApp(service) as hop:
            recorder.requests.clear()
            for each in (peer, hop):
                assert each.client.post("/predict", json={"records": records}).status_code == 200
            service.close()
    one, other = (request.tensors for request in recorder.requests)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        assert one[name].dtype == other[name].dtype


def test_a_real_model_answers_to_the_bit_what_it_answers_itself(iris: Service) -> None:
    with ServedApp(iris) as peer:
        service = remote_service(peer.url)
        with ServedApp(service) as hop:
            for path in ("/predict", "/predict/label"):
                direct, through = (each.client.post(path, json={"data": ROWS}) for each in (peer, hop))
                assert through.json()["prediction"] == direct.json()["prediction"]
                assert direct.status_code == 200
            told = [each.client.get("/metadata").json() for each in (peer, hop)]
            assert told[0] == told[1]
            service.close()
            until(lambda: peer.connections == 1)  # the one of the test's own client


def test_what_is_wrong_with_a_value_is_said_with_its_row_and_column(iris: Service) -> None:
    records = [dict.fromkeys((column.name for column in iris.signature.columns), 1.0) for _ in range(3)]
    records[1]["petal length (cm)"] = None  # type: ignore[assignment]
    body = json.dumps({"records": records})
    with ServedApp(iris) as peer:
        service = remote_service(peer.url)
        # The peer alone judges values here, so that its refusal must come through.
        free = msgspec.structs.replace(service, signature=nullable(service.signature))
        with ServedApp(free) as hop:
            for path, content in (("/predict", body), ("/predict", body.encode())):
                reply = hop.client.post(path, content=content, headers={"x-request-id": "mine-7"})
                assert reply.status_code == 422
                error = reply.json()["error"]
                assert (error["code"], error["id"]) == ("invalid", "mine-7")
                assert [(each["row"], each["column"]) for each in error["details"]] == [(1, "petal length (cm)")]
            service.close()


def nullable(signature: Signature) -> Signature:
    inputs = tuple(
        msgspec.structs.replace(
            each, columns=tuple(msgspec.structs.replace(column, nullable=True) for column in each.columns)
        )
        for each in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)


def test_a_server_that_has_gone_is_unavailable(iris: Service) -> None:
    with ServedApp(iris) as peer:
        service = remote_service(peer.url)
    with ServedApp(service) as hop:
        reply = hop.client.post("/predict", json={"data": ROWS})
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "unavailable"
        service.close()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there_stops_the_start(scheme: str) -> None:
    with pytest.raises(StartupError, match="could not be reached"):
        remote_service(f"{scheme}://127.0.0.1:{free_port()}", timeout=1.0)


def request_of(service: Service, *, seconds: float | None = None, trace: str | None = None) -> Request:
    assert service.sample is not None
    deadline = None if seconds is None else time.monotonic() + seconds
    return Request(service.sample, 1, "an-id-1", None, deadline, trace)


@pytest.fixture
def served() -> Iterator[tuple[ServedApp, RecordingPredictor, Service]]:
    """A server, its recorder, and the service that is made of it."""
    own, recorder = recorded(models.classifier())
    with ServedApp(own, grpc=True) as peer:
        service = remote_service(peer.url)
        recorder.requests.clear()
        yield peer, recorder, service
        service.close()


def test_deadline_id_and_trace_go_along(served: tuple[ServedApp, RecordingPredictor, Service]) -> None:
    peer, recorder, service = served
    over_grpc = remote_service(peer.grpc_url)
    recorder.requests.clear()
    for each in (service, over_grpc):
        request = request_of(each, seconds=5.0, trace=TRACE)
        answer = asyncio.run(each.predictor.predict(request))
        assert answer.model == models.IDENTITY
        assert answer.timings.run > 0
        seen = recorder.requests.pop()
        assert (seen.id, seen.trace) == ("an-id-1", TRACE)
        assert seen.deadline is not None
        assert request.deadline is not None
        assert seen.deadline == pytest.approx(request.deadline, abs=0.5)
        each.close()


@pytest.fixture
def holding() -> Iterator[tuple[HeldPredictor, Service]]:
    """What holds the requests of a server, and the service that is made of the server."""
    own, predictor = held(models.classifier())
    with ServedApp(own) as peer:
        service = remote_service(peer.url)
        predictor.holding = True
        yield predictor, service
        service.close()


def test_a_request_ends_at_its_deadline(holding: tuple[HeldPredictor, Service]) -> None:
    predictor, service = holding
    with pytest.raises(DeadlineExceeded):
        asyncio.run(service.predictor.predict(request_of(service, seconds=0.3)))
    # What had arrived by then is given up there, too.
    until(lambda: all(each.cancelled for each in predictor.held))
    asked = len(predictor.held)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(service.predictor.predict(request_of(service, seconds=-1.0)))
    assert len(predictor.held) == asked


def test_a_request_that_is_given_up_is_given_up_by_the_other_server(
    holding: tuple[HeldPredictor, Service],
) -> None:
    predictor, service = holding

    async def give_up() -> None:
        answers: list[Response | Exception] = []
        pending = service.predictor.submit(request_of(service), answers.append)
        await asyncio.to_thread(until, lambda: len(predictor.held) == 1)
        pending.cancel()
        await asyncio.to_thread(until, lambda: predictor.held[0].cancelled)
        assert not answers

    asyncio.run(give_up())


def test_a_service_may_be_used_on_one_event_loop_after_another(
    served: tuple[ServedApp, RecordingPredictor, Service],
) -> None:
    peer, _, service = served
    for _ in range(3):
        asyncio.run(service.predictor.predict(request_of(service)))
    service.close()
    until(lambda: peer.connections == 0)


def test_connections_are_kept_between_requests(served: tuple[ServedApp, RecordingPredictor, Service]) -> None:
    peer, _, service = served

    async def ask() -> None:
        for _ in range(5):
            await service.predictor.predict(request_of(service))
            assert peer.connections == 1
        await asyncio.gather(*(service.predictor.predict(request_of(service)) for _ in range(20)))
        assert 1 <= peer.connections <= 20
        service.close()
        await asyncio.to_thread(until, lambda: peer.connections == 0)

    asyncio.run(ask())


RENEWED = Identity("iris", "2", "sha256:" + "c3" * 32)


def renewed(identity: Identity = RENEWED) -> Service:
    """Another version of the model."""

    async def predict(_: Request) -> Response:
        tensors = {"label": np.array([1]), "probabilities": np.zeros((1, 3), np.float32)}
        return Response(tensors, 1, identity, Timings(0.0, 0.0, 1), ("degraded", "cached"))

    return msgspec.structs.replace(models.classifier(), predictor=adapt(predict), identity=identity)


def test_another_model_with_the_same_signature_is_named_in_its_answers(
    served: tuple[ServedApp, RecordingPredictor, Service],
) -> None:
    peer, _, service = served
    peer.swap(renewed())
    for _ in range(2):
        assert asyncio.run(service.predictor.predict(request_of(service))).model == RENEWED
    over_grpc = remote_service(peer.grpc_url)
    peer.swap(models.classifier())
    assert asyncio.run(over_grpc.predictor.predict(request_of(service))).model == models.IDENTITY


def test_versions_may_follow_each_other_for_ever(served: tuple[ServedApp, RecordingPredictor, Service]) -> None:
    peer, _, service = served

    async def ask() -> None:
        for number in range(MOST_DIGESTS + 10):
            identity = Identity("iris", str(number), f"sha256:{number:064}")
            await asyncio.to_thread(peer.swap, renewed(identity))
            assert (await service.predictor.predict(request_of(service))).model == identity
        service.close()
        await asyncio.to_thread(until, lambda: peer.connections == 0)

    asyncio.run(ask())
    service.close()


def test_another_model_with_another_signature_is_not_taken_for_the_first(
    served: tuple[ServedApp, RecordingPredictor, Service],
) -> None:
    peer, _, service = served
    other = renewed()
    signature = msgspec.structs.replace(other.signature, labels=("b", "a", "c"))
    peer.swap(msgspec.structs.replace(other, signature=signature))
    with pytest.raises(Unavailable, match="another one now, with another signature"):
        asyncio.run(service.predictor.predict(request_of(service)))


def test_what_a_caller_should_know_of_an_answer_comes_through(
    served: tuple[ServedApp, RecordingPredictor, Service],
) -> None:
    peer, _, service = served
    peer.swap(renewed())
    with ServedApp(service) as hop:
        reply = hop.client.post("/predict", json={"data": [[1, 2, 3, 4]]})
        assert reply.headers["septet-flags"] == "degraded, cached"
        assert reply.headers["septet-model-version"] == "2"
        service.close()


def test_a_model_that_the_server_lacks_is_unavailable(served: tuple[ServedApp, RecordingPredictor, Service]) -> None:
    peer, _, service = served
    gone = RemoteModel(msgspec.structs.replace(models.IDENTITY, name="gone"), service.signature)
    address = parse_address(peer.url, "binary")
    predictor = RemotePredictor(gone, lambda: async_channel(address, {}), timeout=5.0, retries=0, description=None)
    with pytest.raises(Unavailable, match="The server of the model 'gone' refused the call"):
        asyncio.run(predictor.predict(request_of(service)))


def test_a_model_is_found_by_its_name(served: tuple[ServedApp, RecordingPredictor, Service]) -> None:
    peer, _, _ = served
    for url in (peer.url, peer.grpc_url):
        service = remote_service(url, "iris")
        assert service.signature == models.classifier().signature
        service.close()
        with pytest.raises(StartupError, match=r"elsewhere"):
            remote_service(url, "elsewhere")


def test_one_model_of_several_must_be_named() -> None:
    other = msgspec.structs.replace(SERVICES["regressor"], identity=Identity("other", "3", ""))
    with ServedApp(models.classifier(), other, grpc=True) as peer:
        for url in (peer.url, peer.grpc_url):
            with pytest.raises(StartupError, match="has the models 'iris', 'other': name one"):
                remote_service(url)
            service = remote_service(url, "other")
            assert (service.identity, service.signature) == (other.identity, other.signature)
            service.close()


def test_a_row_that_the_model_refuses_is_an_error_of_the_caller(
    served: tuple[ServedApp, RecordingPredictor, Service],
) -> None:
    _, _, service = served
    wrong = Request({"X": np.zeros((1, 3), np.float32)}, 1, "an-id-2")
    with pytest.raises(Invalid, match="takes the shape") as told:
        asyncio.run(service.predictor.predict(wrong))
    assert told.value.request_id == "an-id-2"
    assert told.value.problems[0].column == "X"
    assert not math.isnan(service.facts["load_seconds"])
