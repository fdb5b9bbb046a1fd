"""What a person sees when a server is ready."""

import json
import shlex
from typing import Any

import msgspec
import numpy as np
import pytest

from septet import testing
from septet.cli.banner import BannerServer, banner, command
from septet.model.freshness import Freshness
from septet.model.manifest import Manifest
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.service import Service
from septet.types import Array, Identity

FRESH = Freshness("fresh", 3, "the training data ends on 2026-11-21, 3 days ago")


def service(inputs: tuple[Tensor, ...], sample: dict[str, Array] | None, **more: Any) -> Service:
    signature = Signature(Kind.CLASSIFICATION, inputs, (Tensor("scores", "float32", (None, 3)),), **more)
    identity = Identity("iris", "1.2", "sha256:" + "0123456789abcdef" * 4)
    made = testing.service(signature, identity=identity)
    manifest = Manifest("iris", "1.2", "onnx", "model.onnx", signature)
    return msgspec.structs.replace(made, manifest=manifest, sample=sample, freshness=lambda: FRESH)


def named(*names: str) -> Service:
    tensor = Tensor("x", "float32", (None, len(names)), tuple(Column(name, "float32") for name in names))
    return service((tensor,), {"x": np.full((1, len(names)), 5.1, np.float32)}, labels=("setosa", "versicolor"))


def _text(service: Service, url: str, **server: Any) -> str:
    return "\n".join(banner(service, BannerServer(url, **server)))


def payload(text: str) -> Any:
    words = shlex.split(text)
    return json.loads(words[words.index("-d") + 1])


def test_the_banner_says_where_grpc_is_served() -> None:
    text = _text(named("a"), "http://127.0.0.1:8000", workers=1, grpc=("127.0.0.1:8001", "[::1]:8001"))
    assert "gRPC at   127.0.0.1:8001, [::1]:8001" in text
    assert "gRPC" not in _text(named("a"), "http://127.0.0.1:8000", workers=1)


def test_the_banner_says_where_jobs_are_stored() -> None:
    jobs = "in redis://:***@localhost:6379, answered by 2 workers of its own"
    assert f"jobs      {jobs}" in _text(named("a"), "http://127.0.0.1:8000", workers=1, jobs=jobs)
    assert "jobs" not in _text(named("a"), "http://127.0.0.1:8000", workers=1)


def test_the_banner_says_what_is_served_where_and_how_to_stop() -> None:
    text = _text(named("petal length", "petal width"), "http://127.0.0.1:8000", workers=2)
    for part in (
        "iris, version 1.2, sha256:0123456789ab",
        "classification with onnx",
        "2 columns: petal length, petal width (float32)",
        "2: setosa, versicolor",
        "3 days ago",
        "workers",
        "http://127.0.0.1:8000/docs",
        "curl http://127.0.0.1:8000/predict ",
        "Ctrl+C stops.",
    ):
        assert part in text


def test_named_columns_are_sent_as_a_record() -> None:
    assert payload(command(named("a", "b"), "http://h:1")) == {"records": [{"a": 5.1, "b": 5.1}]}


@pytest.mark.parametrize("name", ["it's", 'say "hi"', "$HOME `id`", "größe (cm)", "a\\b", "new\nline"])
def test_the_command_survives_the_shell_whatever_the_columns_are_called(name: str) -> None:
    assert payload(command(named(name), "http://h:1")) == {"records": [{name: 5.1}]}


def test_rows_without_names_are_sent_as_data() -> None:
    tensor = Tensor("x", "float32", (None, None))
    assert payload(command(service((tensor,), {"x": np.ones((1, 2), np.float32)}), "http://h:1")) == {"data": [[1, 1]]}


def test_a_model_without_rows_is_sent_its_tensors() -> None:
    tensor = Tensor("x", "int64", (2,))
    assert payload(command(service((tensor,), {"x": np.array([1, 2])}, rows=False), "http://h:1")) == {
        "inputs": {"x": [1, 2]}
    }


def test_a_wide_model_is_tried_with_its_own_sample() -> None:
    assert command(named(*(f"pixel{i}" for i in range(64))), "http://h:1") == "curl http://h:1/predict/test"


def test_a_model_with_a_large_sample_is_tried_with_its_own_sample() -> None:
    image = Tensor("image", "float32", (None, 3, 32, 32))
    sample = {"image": np.zeros((1, 3, 32, 32), np.float32)}
    assert command(service((image,), sample), "http://h:1") == "curl http://h:1/predict/test"


def test_a_model_without_a_sample_is_described() -> None:
    assert command(service((Tensor("x", "float32", (None, 2)),), None), "http://h:1") == "curl http://h:1/metadata"


@pytest.mark.parametrize(("listened", "shown"), [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")])
def test_an_address_for_every_network_is_shown_as_one_that_opens(listened: str, shown: str) -> None:
    text = _text(named("a"), f"http://{listened}:8000", workers=1)
    assert f"http://{shown}:8000/docs" in text
    assert listened not in text


def test_many_columns_and_labels_are_shortened() -> None:
    columns = tuple(Column(f"c{i}", "float32" if i < 3 else "string") for i in range(9))
    tensors = tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in columns)
    model = service(tensors, None, labels=tuple(f"label{i}" for i in range(10)))
    text = _text(model, "http://h:1", workers=1)
    assert "9 columns: c0, c1, c2 (float32), c3, c4 (string), and 4 more (string)" in text
    assert "10: label0, label1, label2, label3, label4, and 5 more" in text
