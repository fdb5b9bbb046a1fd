"""From a path to a service: bare ONNX files with labels beside them, and packages that have to prove themselves."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

import septet
from septet.assembly import open_service
from septet.errors import DigestMismatch, GoldenMismatch, LabelsMismatch, ModelNotFound
from septet.protocols.http.asgi import Asgi
from septet.settings import Model, Settings
from septet.types import Array, Request, Response
from tests.packing.saving import save
from tests.runtimes.onnx_models import FLOAT, constant, converted, engine, info, matrix_of_maps, model, node, saved

sklearn = pytest.importorskip("sklearn")
NAMES = ["setosa", "versicolor", "virginica"]


@pytest.fixture(scope="module")
def rows() -> Array:
    from sklearn.datasets import load_iris

    return np.asarray(load_iris().data, np.float32)


@pytest.fixture(scope="module")
def zipmap(tmp_path_factory: pytest.TempPathFactory, rows: Array) -> Path:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(rows, load_iris().target)
    return saved(tmp_path_factory.mktemp("iris"), converted(model, rows))


def with_labels(model: Path, folder: Path, labels: object) -> Path:
    (folder / "label.json").write_text(json.dumps(labels))
    (folder / "model.onnx").write_bytes(model.read_bytes())
    return folder / "model.onnx"


def ask(app: Asgi, method: str, path: str, **more: Any) -> httpx.Response:
    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://septet") as client:
            return await client.request(method, path, **more)

    return asyncio.run(story())


def test_a_zipmap_with_labels_beside_it_is_answered_as_the_engine_does(
    zipmap: Path, tmp_path: Path, rows: Array
) -> None:
    path = with_labels(zipmap, tmp_path, {str(at): name for at, name in enumerate(NAMES)})
    app = septet.asgi(path)
    body = {"data": rows[::10].tolist()}
    answer = engine(path, {open_service(path, Settings()).signature.inputs[0].name: rows[::10]})
    scores = matrix_of_maps(answer["output_probability"], [0, 1, 2])
    np.testing.assert_array_equal(
        np.array(ask(app, "POST", "/predict", json=body).json()["prediction"], np.float32), scores
    )
    labels = ask(app, "POST", "/predict/label", json=body).json()["prediction"]
    assert labels == [NAMES[at] for at in answer["output_label"]]
    assert ask(app, "GET", "/label").json() == {"0": "setosa", "1": "versicolor", "2": "virginica"}
    assert ask(app, "GET", "/predict/test").status_code == 200
    assert ask(app, "POST", "/predict", json={}).status_code == 422
    assert ask(app, "HEAD", "/health").content == b""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, rows: Array) -> Path:
    """A package of a model whose classes have names of their own."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(rows, np.array(NAMES)[load_iris().target])
    folder = tmp_path_factory.mktemp("named") / "package"
    save(model, folder, data=rows)
    return folder


def opened(path: Path, labels: str | None) -> tuple[str, ...]:
    return open_service(path, Settings(model=Model(labels=labels))).signature.labels


@pytest.mark.parametrize("form", ["package", "file"])
def test_a_label_file_that_contradicts_the_model_stops_the_start_unless_it_is_named(
    form: str, named: Path, tmp_path: Path
) -> None:
    other = ["virginica", "setosa", "versicolor"]
    if form == "package":
        path = Path(shutil.copytree(named, tmp_path / "package"))
        (path / "label.json").write_text(json.dumps(other))
    else:
        path = with_labels(named / "model.onnx", tmp_path, other)
    with pytest.raises(LabelsMismatch, match=r"--labels none"):
        opened(path, None)
    assert opened(path, "none") == tuple(NAMES)
    assert opened(path, str(path if path.is_dir() else tmp_path) + "/label.json") == tuple(other)


def test_a_label_file_that_says_what_the_package_says_is_no_contradiction(named: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(named, tmp_path / "package"))
    (path / "labels.txt").write_text("\n".join(NAMES))
    assert opened(path, None) == tuple(NAMES)


def test_labels_of_another_count_are_refused_unless_they_are_not_wanted(zipmap: Path, tmp_path: Path) -> None:
    path = with_labels(zipmap, tmp_path, ["a", "b"])
    with pytest.raises(LabelsMismatch, match="2 labels"):
        open_service(path, Settings())
    service = open_service(path, Settings(model=Model(labels="none")))
    assert service.signature.labels != ("a", "b")


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="nothing"):
        open_service(tmp_path / "nothing.onnx", Settings())


@pytest.fixture
def package(tmp_path: Path, rows: Array) -> Path:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(rows, load_iris().target)
    save(model, tmp_path / "iris", data=rows, target=load_iris().target)
    return tmp_path / "iris"


def test_a_package_is_served_with_the_promise_of_its_first_golden_row(package: Path) -> None:
    service = open_service(package, Settings())
    golden = msgspec.json.decode((package / "golden.json").read_bytes())
    assert service.expected is not None
    assert service.expected.absolute_tolerance == golden["absolute_tolerance"]
    assert {len(array) for array in service.expected.answer.values()} == {1}
    assert ask(septet.asgi(package), "GET", "/predict/test/label").status_code == 200


def test_a_package_that_was_changed_is_refused(package: Path) -> None:
    (package / "golden.json").write_text((package / "golden.json").read_text().replace("1", "2"))
    with pytest.raises(DigestMismatch, match=r"golden\.json"):
        open_service(package, Settings())


def test_a_package_that_does_not_reproduce_its_golden_rows_is_refused(package: Path) -> None:
    from septet.model.digest import file_digest

    golden, manifest = package / "golden.json", package / "septet.toml"
    before = file_digest(golden)
    content = msgspec.json.decode(golden.read_bytes())
    floats = next(tensor for tensor in content["answer"].values() if tensor["dtype"].startswith("float"))
    floats["data"][0] = [0.0 for _ in floats["data"][0]]
    golden.write_bytes(msgspec.json.encode(content))
    manifest.write_text(manifest.read_text().replace(before, file_digest(golden)))
    with pytest.raises(GoldenMismatch, match="row 0"):
        open_service(package, Settings())


def test_a_model_that_answers_no_made_up_row_is_warmed_up_on_a_real_one(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(2, 3, 5, 5)).astype(np.float32)
    nodes = [node("Conv", ["x", "kernel"], ["c"]), node("GlobalAveragePool", ["c"], ["y"])]
    made = model(
        nodes, [info("x", FLOAT, ["n", 3, "h", "w"])], [info("y", FLOAT, ["n", 2, 1, 1])], [constant("kernel", kernel)]
    )
    path = saved(tmp_path, made)
    service = open_service(path, Settings())
    assert service.sample is None
    images = np.random.default_rng(1).random((4, 1, 3, 9, 7), np.float32)
    requests = [Request({"x": image}, 1, str(at)) for at, image in enumerate(images)]

    async def merged() -> list[Response]:
        async with asyncio.timeout(60):
            while True:
                answers = await asyncio.gather(*map(service.predictor.predict, requests))
                if any(answer.timings.batch_rows > 1 for answer in answers):
                    return answers

    answers = asyncio.run(merged())
    for image, answer in zip(images, answers, strict=True):
        np.testing.assert_allclose(answer.tensors["y"], engine(path, {"x": image})["y"], rtol=1e-5)
