"""One caller never changes another's answer: requests share a run only where their rows are proven to stay apart."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import septet
from septet.assembly import open_service
from septet.errors import GoldenMismatch, PackageInvalid
from septet.model.septet_toml import manifest_from_toml, manifest_to_toml
from septet.protocols.http.asgi import Asgi
from septet.service import Service
from septet.settings import Model, Settings
from septet.types import Array, Request
from tests.packing.saving import save
from tests.runtimes.exported_graphs import apart
from tests.runtimes.graphs import mixing
from tests.runtimes.onnx_models import FLOAT, constant, info, model, node, onnx, saved

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

LOOKING = """
import numpy as np
def prepare(columns):
    age = np.asarray(columns["age"], float)
    middle = np.nanmean(age) if np.isfinite(age).any() else 40.0
    return {"input": np.where(np.isnan(age), middle, age).reshape(-1, 1)}
"""
HONEST = LOOKING.replace("np.nanmean(age) if np.isfinite(age).any() else 40.0", "40.0")
LONGEST = """
import numpy as np
def prepare(columns):
    lengths = np.array([len(text) for text in columns["text"]], float)
    return {"input": (80 * lengths / max(lengths.max(), 1.0)).reshape(-1, 1)}
"""


def packed(folder: Path, code: str, data: Any, **about: Any) -> tuple[Path, Settings]:
    """A model of one number behind code of its own."""
    (folder / "steps.py").write_text(code)
    values = np.linspace(0, 80, 40).reshape(-1, 1)
    fitted = LogisticRegression().fit(values, values[:, 0] > 45)
    made = save(fitted, folder / "model", data=data, prepare=folder / "steps.py", **about)
    return folder / "model", Settings(model=Model(trust=made.trust))


@pytest.fixture
def ages() -> Any:
    frame = pd.DataFrame({"age": np.random.default_rng(0).normal(40, 15, 60)})
    frame.loc[::7, "age"] = np.nan
    return frame


async def asked(service: Service, rows: Array) -> list[Array]:
    """The first output's rows, each asked by itself, all at the same time."""
    name = service.signature.inputs[0].name
    requests = [Request({name: rows[at : at + 1]}, 1, str(at)) for at in range(len(rows))]
    answers = await asyncio.gather(*map(service.predictor.predict, requests))
    return [next(iter(answer.tensors.values())) for answer in answers]


def told(app: Asgi, method: str, path: str, **more: Any) -> httpx.Response:
    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://septet") as client:
            return await client.request(method, path, **more)

    return asyncio.run(story())


def test_code_that_looks_at_its_whole_batch_answers_a_null_as_alone(
    tmp_path: Path, ages: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path, settings = packed(tmp_path, LOOKING, ages)
    with caplog.at_level(logging.WARNING, "septet"):
        service = open_service(path, settings)
    assert "prepare.py" in caplog.text
    assert "row_independent" in caplog.text
    assert not service.merging().merged
    rows = np.full((32, 1), 120.0, service.signature.inputs[0].dtype)
    rows[16] = np.nan
    (alone,) = asyncio.run(asked(service, rows[16:17]))
    np.testing.assert_array_equal(asyncio.run(asked(service, rows))[16], alone)


def test_code_that_is_vouched_for_and_keeps_rows_apart_is_merged(tmp_path: Path, ages: Any) -> None:
    path, settings = packed(tmp_path, HONEST, ages, row_independent=True)
    service = open_service(path, settings)
    assert service.merging().merged
    assert service.batch_rows > 1
    assert "the package says so" in service.merging().reason


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (LOOKING, pd.DataFrame({"age": [30.0, None, 50.0, 60.0, 20.0]})),
        (LONGEST, pd.DataFrame({"text": ["a", "bb", "ccc", "dddd", "e"]})),
    ],
)
def test_a_package_that_vouches_for_code_whose_rows_meet_is_refused(tmp_path: Path, code: str, data: Any) -> None:
    with pytest.raises(GoldenMismatch, match=r"row_independent = true.*(alone|fail together)"):
        packed(tmp_path, code, data, row_independent=True)
    path, settings = packed(tmp_path, code, data)
    with pytest.raises(GoldenMismatch, match=r"row_independent = true.*(alone|fail together)"):
        open_service(vouching(path), settings)


def vouching(path: Path) -> Path:
    """The package, after somebody wrote into it that rows are independent."""
    source = path / "septet.toml"
    text = source.read_text().replace("format = 1\n", "format = 1\nrow_independent = true\n")
    source.write_text(text)
    return path


def test_to_vouch_for_a_graph_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = saved(tmp_path, mixing()["condition on all"])
    with pytest.raises(GoldenMismatch):
        septet.pack(bare, tmp_path / "package", data=np.full((6, 4), -1e7, np.float32), row_independent=True)
    septet.pack(bare, tmp_path / "package")
    with caplog.at_level(logging.WARNING, "septet"), pytest.raises(GoldenMismatch):
        open_service(vouching(tmp_path / "package"), Settings())
    septet.pack(bare, tmp_path / "package", replace=True)
    assert not open_service(tmp_path / "package", Settings()).merging().merged


def test_a_graph_that_needs_no_word_for_it_may_be_vouched_for(tmp_path: Path) -> None:
    septet.pack(saved(tmp_path, apart()["softmax of a row"]), tmp_path / "package", row_independent=True)
    assert open_service(tmp_path / "package", Settings()).merging().merged


def test_a_package_without_golden_rows_cannot_vouch(tmp_path: Path) -> None:
    septet.pack(saved(tmp_path, apart()["softmax of a row"]), tmp_path / "package")
    (tmp_path / "package" / "golden.json").unlink()
    source = tmp_path / "package" / "septet.toml"
    manifest = manifest_from_toml(source.read_bytes(), "test")
    files = {name: digest for name, digest in manifest.files.items() if name != "golden.json"}
    changed = type(manifest)(manifest.name, "1", "onnx", "model.onnx", manifest.signature, files, row_independent=True)
    source.write_text(manifest_to_toml(changed))
    with pytest.raises(PackageInvalid, match="no golden rows"):
        open_service(tmp_path / "package", Settings())


def test_a_dynamically_quantized_model_answers_beside_a_caller_far_away_as_alone(tmp_path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    whole = model(
        [node("MatMul", ["x", "w"], ["m"]), node("Softmax", ["m"], ["y"])],
        [info("x", FLOAT, ("n", 4))],
        [info("y", FLOAT, ("n", 3))],
        [constant("w", weights)],
    )
    path = saved(tmp_path, whole)
    quantize_dynamic(path, tmp_path / "small.onnx", weight_type=QuantType.QInt8)
    assert any(each.op_type == "DynamicQuantizeLinear" for each in onnx.load(tmp_path / "small.onnx").graph.node)
    service = open_service(tmp_path / "small.onnx", Settings())
    assert not service.merging().merged
    assert "DynamicQuantizeLinear" in service.merging().reason
    rows = np.random.default_rng(1).normal(size=(32, 4)).astype(np.float32)
    rows[5] = 1e6
    together = asyncio.run(asked(service, rows))
    for at in range(len(rows)):
        (alone,) = asyncio.run(asked(service, rows[at : at + 1]))
        np.testing.assert_array_equal(together[at], alone)


@pytest.mark.parametrize("name", ["condition on all", "mean over the rows", "sum so far", "rows times rows"])
def test_graphs_whose_rows_meet_answer_many_callers_as_each_alone(tmp_path: Path, name: str) -> None:
    service = open_service(saved(tmp_path, mixing()[name]), Settings())
    assert service.batch_rows == 1
    rows = np.random.default_rng(1).normal(size=(16, 4)).astype(np.float32)
    together = asyncio.run(asked(service, rows))
    for at in range(len(rows)):
        (alone,) = asyncio.run(asked(service, rows[at : at + 1]))
        np.testing.assert_array_equal(together[at], alone)


def test_metadata_says_how_exact_a_shared_run_is(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(60, 4))
    target = np.arange(60) % 3
    save(DecisionTreeClassifier().fit(table, target), tmp_path / "tree", data=table)
    save(LogisticRegression().fit(table, target), tmp_path / "sums", data=table)
    exact = told(septet.asgi(tmp_path / "tree", threads=1), "GET", "/metadata").json()["merging"]
    assert (exact["merged"], exact["exact"], exact["relative_tolerance"]) == (True, True, 0.0)
    rounded = told(septet.asgi(tmp_path / "sums"), "GET", "/metadata").json()["merging"]
    assert (rounded["merged"], rounded["exact"], rounded["relative_tolerance"]) == (True, False, 1e-4)
    alone = told(septet.asgi(tmp_path / "sums", max_batch_rows=1), "GET", "/metadata").json()["merging"]
    assert (alone["merged"], alone["reason"]) == (False, "max_batch_rows is 1")


def detector(lead: str | None, *, scores: bool = False, op: str = "Greater") -> Any:
    """Of each row above a limit its values; with scores also one number for each row."""
    nodes = [
        node("ReduceMax", ["x"], ["highest"], axes=[1], keepdims=0),
        node(op, ["highest", "limit"], ["found"]),
        node("Compress", ["x", "found"], ["boxes"], axis=0),
    ]
    outputs = [info("boxes", FLOAT, (lead, 4))]
    if scores:
        nodes.append(node("ReduceSum", ["x", "last"], ["score"], keepdims=0))
        outputs.append(info("score", FLOAT, ("batch",)))
    constants = [constant("limit", np.float32(0.5)), constant("last", np.array([1]))]
    return model(nodes, [info("x", FLOAT, ("batch", 4))], outputs, constants)


ROWS = [[1.0, 0, 0, 0], [0.0, 0, 0, 0], [0, 2.0, 0, 0]]


@pytest.mark.parametrize("lead", ["num_dets", "batch", None])
@pytest.mark.parametrize("op", ["Greater", "Less"])
def test_boxes_are_answered_as_they_are_over_every_protocol(tmp_path: Path, lead: str | None, op: str) -> None:
    app = septet.asgi(saved(tmp_path, detector(lead, op=op)))
    facts = told(app, "GET", "/metadata").json()
    assert not facts["merging"]["merged"]
    assert facts["outputs"] == [{"name": "boxes", "dtype": "float32", "shape": [-1, 4]}]
    for rows in (ROWS, ROWS[1:2], ROWS[:1], ROWS[::2]):
        kept = [row for row in rows if (max(row) > 0.5) == (op == "Greater")]
        native = told(app, "POST", "/predict", json={"inputs": {"x": rows}}).json()["prediction"]
        assert native == (kept if facts["rows"] else {"boxes": kept})
        tensor = {"name": "x", "shape": [len(rows), 4], "datatype": "FP32", "data": rows}
        (output,) = told(app, "POST", "/v2/models/model/infer", json={"inputs": [tensor]}).json()["outputs"]
        assert (output["shape"], output["data"]) == ([len(kept), 4], [value for row in kept for value in row])
        wanted = [{"name": "boxes", "parameters": {"binary_data": True}}]
        raw = told(app, "POST", "/v2/models/model/infer", json={"inputs": [tensor], "outputs": wanted})
        length = int(raw.headers["inference-header-content-length"])
        assert json.loads(raw.content[:length])["outputs"][0]["shape"] == [len(kept), 4]
        np.testing.assert_array_equal(np.frombuffer(raw.content[length:], "<f4"), np.array(kept, np.float32).ravel())
        classes = [{"name": "boxes", "parameters": {"classification": 1}}]
        best = told(app, "POST", "/v2/models/model/infer", json={"inputs": [tensor], "outputs": classes})
        assert best.status_code == 200
        assert told(app, "POST", "/v1/models/model:predict", json={"inputs": {"x": rows}}).json() == {"outputs": kept}
        assert told(app, "POST", "/invocations", json={"inputs": {"x": rows}}).status_code == 200


@pytest.mark.parametrize("lead", ["num_dets", "batch"])
@pytest.mark.parametrize("op", ["Greater", "Less"])
def test_boxes_beside_an_output_of_rows_are_shown_by_output(tmp_path: Path, lead: str, op: str) -> None:
    app = septet.asgi(saved(tmp_path, detector(lead, scores=True, op=op)))
    assert not told(app, "GET", "/metadata").json()["merging"]["merged"]
    kept = [row for row in ROWS if (max(row) > 0.5) == (op == "Greater")]
    shown = {"boxes": kept, "score": [1.0, 0.0, 2.0]}
    body = {"inputs": {"x": ROWS}}
    assert told(app, "POST", "/predict", json=body).json()["prediction"] == shown
    assert told(app, "POST", "/v1/models/model:predict", json=body).json() == {"outputs": shown}
    assert told(app, "POST", "/v1/models/model:predict", json={"instances": ROWS}).json() == {"predictions": shown}
    assert told(app, "POST", "/invocations", json=body).json() == {"predictions": shown}


def test_inputs_whose_first_dimensions_have_different_names_need_not_have_as_many_rows(tmp_path: Path) -> None:
    two = model(
        [node("Neg", ["x"], ["y"]), node("Abs", ["z"], ["w"])],
        [info("x", FLOAT, ("n", 1)), info("z", FLOAT, ("m", 1))],
        [info("y", FLOAT, ("n", 1)), info("w", FLOAT, ("m", 1))],
    )
    app = septet.asgi(saved(tmp_path, two))
    body = {"inputs": {"x": [[1.0]], "z": [[-1.0], [2.0]]}}
    assert told(app, "POST", "/predict", json=body).json()["prediction"] == {"y": [[-1.0]], "w": [[1.0], [2.0]]}
    assert "different names" in told(app, "GET", "/metadata").json()["merging"]["reason"]


@pytest.mark.parametrize("declared", [("num_dets", 4), None])
def test_boxes_of_a_model_that_takes_one_image_are_answered_as_they_are(tmp_path: Path, declared: Any) -> None:
    made = detector("num_dets")
    made.graph.input[0].CopyFrom(info("x", FLOAT, (1, 4)))
    made.graph.output[0].CopyFrom(info("boxes", FLOAT, declared))
    app = septet.asgi(saved(tmp_path, made))
    assert not told(app, "GET", "/metadata").json()["merging"]["merged"]
    assert told(app, "GET", "/openapi.json").status_code == 200
    for row in ROWS:
        kept = [row] if max(row) > 0.5 else []
        answer = told(app, "POST", "/predict", json={"inputs": {"x": [row]}})
        assert answer.json()["prediction"] == {"boxes": kept}


def test_a_model_that_takes_one_row_is_merged_where_each_has_one_answer(tmp_path: Path) -> None:
    def one(op: str, shape: Any) -> Any:
        return model([node(op, ["x"], ["y"])], [info("x", FLOAT, (1, 4))], [info("y", FLOAT, shape)])

    assert open_service(saved(tmp_path, one("Softmax", (1, 4))), Settings()).merging().exact
    assert open_service(saved(tmp_path, one("Abs", None)), Settings()).merging().exact
    shown = open_service(saved(tmp_path, one("Unique", None)), Settings()).merging()
    assert (shown.merged, shown.exact) == (False, False)


def test_a_number_for_all_rows_beside_an_output_of_rows_is_answered(tmp_path: Path) -> None:
    made = model(
        [node("Neg", ["x"], ["y"]), node("ReduceSum", ["x"], ["total"], keepdims=0)],
        [info("x", FLOAT, ("n", 4))],
        [info("y", FLOAT, ("n", 4)), info("total", FLOAT, ())],
    )
    app = septet.asgi(saved(tmp_path, made))
    answer = told(app, "POST", "/predict", json={"inputs": {"x": ROWS}}).json()["prediction"]
    assert answer == {"y": [[-value for value in row] for row in ROWS], "total": 3.0}
    tensor = {"name": "x", "shape": [3, 4], "datatype": "FP32", "data": ROWS}
    outputs = told(app, "POST", "/v2/models/model/infer", json={"inputs": [tensor]}).json()["outputs"]
    assert [output["shape"] for output in outputs] == [[3, 4], []]
