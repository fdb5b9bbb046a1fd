"""A client and a server that know of each other only what the protocol says."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pandas as pd
import pytest

import septet
from septet.errors import Invalid, NotFound
from septet.remote.server_address import TransportName
from septet.types import Identity
from tests.client.servers import GrpcServerProcess
from tests.e2e.process import IRIS, ServerProcess
from tests.protocols import models
from tests.remote.serving import ServedApp
from tests.runtimes.onnx_models import FLOAT, INT64, STRING, TensorProto, info, model, node, saved

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0], [5.9, 2.9, 4.3, 1.3]])
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
TYPES = {
    "x_float": FLOAT,
    "x_double": TensorProto.DOUBLE,
    "x_half": TensorProto.FLOAT16,
    "x_int": INT64,
    "x_byte": TensorProto.UINT8,
    "x_bool": TensorProto.BOOL,
    "x_text": STRING,
}


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with GrpcServerProcess(IRIS, tmp_path_factory.mktemp("iris")) as server:
        yield server


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A model that gives back what it is given, of every dtype."""
    nodes = [node("Identity", [name], [name.replace("x", "y")]) for name in TYPES]
    inputs = [info(name, kind, ("rows", 2)) for name, kind in TYPES.items()]
    outputs = [info(name.replace("x", "y"), kind, ("rows", 2)) for name, kind in TYPES.items()]
    folder = tmp_path_factory.mktemp("echo")
    with GrpcServerProcess(saved(folder, model(nodes, inputs, outputs)), folder) as server:
        yield server


@pytest.fixture(params=["binary", "json", "grpc"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    """How tensors travel."""
    chosen: TransportName = request.param
    return chosen


def url(server: ServerProcess, transport: TransportName = "binary") -> str:
    if transport == "grpc":
        assert isinstance(server, GrpcServerProcess)
        return f"grpc://127.0.0.1:{server.grpc_port}"
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(iris: ServerProcess, transport: TransportName) -> Iterator[septet.Client]:
    with septet.Client(url(iris, transport), timeout=30.0, transport=transport) as made:
        yield made


def test_every_kind_of_data_is_answered_with_the_same_scores(iris: ServerProcess, client: septet.Client) -> None:
    expected = np.array(iris.prediction("/predict", {"data": ROWS.tolist()}), np.float32)
    frame = pd.DataFrame(ROWS, columns=NAMES, index=["a", "b", "c"])
    name = client.metadata()["inputs"][0]["name"]
    scores = client.predict(frame[NAMES[::-1]])
    assert list(scores.columns) == ["setosa", "versicolor", "virginica"]
    assert list(scores.index) == ["a", "b", "c"]
    for given in (
        client.predict(ROWS),
        client.predict({name: ROWS})["probabilities"],
        scores.to_numpy(),
        np.array(client.predict(frame.to_dict("records")), np.float32),
        np.array(client.predict(ROWS.tolist()), np.float32),
    ):
        assert given.dtype == np.float32
        np.testing.assert_array_equal(given, expected)


def test_every_kind_of_data_is_answered_with_the_same_labels(iris: ServerProcess, client: septet.Client) -> None:
    expected = iris.prediction("/predict/label", {"data": ROWS.tolist()})
    frame = pd.DataFrame(ROWS, columns=NAMES, index=["a", "b", "c"])
    assert client.labels(ROWS.tolist()) == expected
    assert client.labels(ROWS).tolist() == expected
    assert client.labels(frame).to_dict() == dict(zip("abc", expected, strict=True))


def test_an_array_that_is_answered_may_be_written_to(client: septet.Client) -> None:
    scores = client.predict(ROWS)
    scores[scores < 0.5] = 0
    assert scores.min() == 0


def test_metadata_is_that_of_the_server(iris: ServerProcess, client: septet.Client) -> None:
    assert client.metadata() == iris.client.get("/metadata").json()


def test_a_ready_server_is_ready(client: septet.Client) -> None:
    assert client.ready() is True


def test_values_of_every_dtype_go_and_come_back_unchanged(echo: ServerProcess, transport: TransportName) -> None:
    given = {
        "x_float": np.array([[1.5, -0.0], [3e38, 1e-45]], np.float32),
        "x_double": np.array([[0.1, 1e308], [5e-324, -1.0]]),
        "x_half": np.array([[1.5, 65504], [6e-8, -0.0]], np.float16),
        "x_int": np.array([[2**63 - 1, -(2**63)], [0, 1]]),
        "x_byte": np.array([[0, 255], [1, 2]], np.uint8),
        "x_bool": np.array([[True, False], [False, True]]),
        "x_text": np.array([["", "ß"], ["a\nb", '"\\']], object),
    }
    with septet.Client(url(echo, transport), timeout=30.0, transport=transport) as client:
        answer = client.predict(given)
    assert list(answer) == [name.replace("x", "y") for name in given]
    for name, array in given.items():
        back = answer[name.replace("x", "y")]
        assert back.dtype == array.dtype
        assert back.tolist() == array.tolist()
        if array.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(back), np.signbit(array))


def test_a_large_array_goes_and_comes_back(client: septet.Client) -> None:
    rows = np.tile(ROWS, (1000, 1))
    np.testing.assert_array_equal(client.predict(rows), np.tile(client.predict(ROWS), (1000, 1)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_only_the_server_refuses_is_refused_with_its_place(client: septet.Client, value: float) -> None:
    rows = ROWS.copy()
    rows[1, 2] = value
    with pytest.raises(Invalid) as told:
        client.predict(rows)
    assert [(problem.row, problem.column) for problem in told.value.problems] == [(1, "petal length (cm)")]
    assert told.value.request_id is not None


def test_a_path_that_is_not_there_is_not_found(iris: ServerProcess) -> None:
    with septet.Client(url(iris) + "/elsewhere/", timeout=30.0) as client, pytest.raises(NotFound):
        client.predict(ROWS)


def test_headers_go_with_every_request(iris: ServerProcess, transport: TransportName) -> None:
    with septet.Client(
        url(iris, transport), timeout=30.0, transport=transport, headers={"x-request-id": "mine"}
    ) as client:
        with pytest.raises(Invalid) as told:
            client.predict(np.full((1, 4), np.nan))
        assert told.value.request_id == "mine"


def test_threads_share_a_client(client: septet.Client) -> None:
    expected = client.predict(ROWS)
    with ThreadPoolExecutor(8) as pool:
        for given in pool.map(lambda at: client.predict(ROWS[at % 3 : at % 3 + 1])[0], range(200)):
            assert (given == expected).all(axis=1).any()
        answers = list(pool.map(lambda at: client.predict(ROWS[at % 3 : at % 3 + 1]), range(200)))
    np.testing.assert_array_equal(np.concatenate(answers), expected[np.arange(200) % 3])


def test_coroutines_share_a_client(iris: ServerProcess, transport: TransportName) -> None:
    async def run() -> None:
        async with septet.AsyncClient(url(iris, transport), timeout=30.0, transport=transport) as client:
            assert await client.ready()
            assert (await client.metadata())["name"] == "iris"
            expected = await client.predict(ROWS)
            answers = await asyncio.gather(*(client.predict(ROWS[at % 3 : at % 3 + 1]) for at in range(200)))
            np.testing.assert_array_equal(np.concatenate(answers), expected[np.arange(200) % 3])
            assert (await client.labels(ROWS)).tolist() == client_labels
            with pytest.raises(Invalid):
                await client.predict(np.full((1, 4), np.nan))

    with septet.Client(url(iris), timeout=30.0) as other:
        client_labels = other.labels(ROWS).tolist()
    asyncio.run(run())


def test_one_of_several_models_is_called_by_its_name() -> None:
    other = msgspec.structs.replace(models.regressor(), identity=Identity("other", "3", ""))
    with ServedApp(models.classifier(), other, grpc=True) as server:
        for address in (server.url, server.grpc_url):
            with septet.Client(address, model="other", timeout=30.0) as client:
                assert client.metadata()["name"] == "other"
                assert client.predict([[2.5]]) == [7.25]
            with septet.Client(address, model="iris", timeout=30.0) as client:
                assert client.labels([[1, 2, 3, 4]]) == ["setosa"]
            with septet.Client(address, model="nothing", timeout=30.0) as client, pytest.raises(NotFound):
                client.metadata()
