"""The predict routes: content types, ids, labels, and the self-test."""

import asyncio
import io
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Invalid, Malformed, ModelFailed, NotFound, UnsupportedMediaType
from septet.model.golden import Golden
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.settings import Limits
from tests.protocols import models

ROW = b'{"data":[[1,2,3,4]]}'


def ask(
    body: bytes = ROW, query: bytes = b"", route: str = "predict", service: Any = None, **headers: bytes
) -> HttpReply:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    asked = service or models.classifier()
    native = models.native(asked, Limits(max_rows=3))
    http = HttpRequest("POST", "/predict", query, named, body)
    if route.startswith("test"):
        tested: HttpReply = asyncio.run(getattr(native, route)(http))
        return tested
    return models.reply(asked, getattr(native, route), http)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (None, ROW),
        (b"application/json", ROW),
        (b"Application/JSON; charset=utf-8", ROW),
        (b"text/csv", b"c0,c1,c2,c3\n1,2,3,4\n"),
        (b"text/csv;header=present", b"c0,c1,c2,c3\n1,2,3,4\n"),
        (b"application/octet-stream", npy(np.ones((1, 4)))),
        (b"application/x-npy", npy(np.ones((1, 4)))),
    ],
)
def test_every_content_type_gets_the_same_answer(kind: bytes | None, body: bytes) -> None:
    reply = ask(body) if kind is None else ask(body, content_type=kind)
    assert msgspec.json.decode(reply.body)["prediction"] == [pytest.approx([0.9, 0.07, 0.03])]
    assert reply.rows == 1


@pytest.mark.parametrize("kind", [b"text/plain", b"application/x-www-form-urlencoded", b"image/png", b"\xff", b"json"])
def test_other_content_types_are_refused(kind: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json"):
        ask(content_type=kind)


def test_csv_needs_columns() -> None:
    with pytest.raises(UnsupportedMediaType, match="named columns"):
        ask(b"a\n1\n", service=models.tensors(rows=True), content_type=b"text/csv")


@pytest.mark.parametrize("name", ["plain", 'a"b', "a\\b", '\\"', "~!" * 64])
def test_an_id_is_honoured_and_repeated_exactly(name: str) -> None:
    for reply in (ask(x_request_id=name.encode()), ask(msgspec.json.encode({"data": [[1, 2, 3, 4]], "id": name}))):
        assert reply.id == name
        assert msgspec.json.decode(reply.body)["id"] == name


def test_the_id_in_the_body_comes_before_the_header_and_one_is_made_where_there_is_none() -> None:
    assert ask(b'{"data":[[1,2,3,4]],"id":"body"}', x_request_id=b"header").id == "body"
    assert ask(b'{"data":[[1,2,3,4]],"id":null}', x_request_id=b"header").id == "header"
    assert len(ask().id) == 32
    with pytest.raises(Malformed, match="x-request-id"):
        ask(x_request_id=b"a b")


def test_an_answer_names_the_model() -> None:
    assert msgspec.json.decode(ask().body)["model"] == msgspec.to_builtins(models.IDENTITY)


def test_labels_and_the_best_of_them() -> None:
    assert msgspec.json.decode(ask(route="predict_label").body)["prediction"] == ["setosa"]
    best = msgspec.json.decode(ask(route="predict_label", query=b"top=2").body)["prediction"]
    assert [each["label"] for each in best[0]] == ["setosa", "versicolor"]


@pytest.mark.parametrize("top", ["", "0", "-1", "1.5", "x", "1001", "٣", "9" * 50, "00000010009999"])
def test_a_top_that_is_no_small_whole_number_is_refused(top: str) -> None:
    with pytest.raises(Invalid, match="top") as caught:
        ask(route="predict_label", query=b"top=" + top.encode())
    assert caught.value.problems[0].column == "top"


def test_a_model_without_labels_says_so_before_it_runs() -> None:
    for route in ("predict_label", "test_label"):
        with pytest.raises(NotFound, match="/predict"):
            ask(b"garbage", route=route, service=models.regressor())


def test_the_self_test_answers_the_sample() -> None:
    assert msgspec.json.decode(ask(route="test").body)["prediction"] == [pytest.approx([0.9, 0.07, 0.03])]
    assert msgspec.json.decode(ask(route="test_label").body)["prediction"] == ["setosa"]


def test_the_self_test_allows_what_the_package_allows_and_no_more() -> None:
    service = models.regressor()
    assert service.sample is not None
    for tolerance, sound in ((0.1, True), (0.001, False)):
        golden = Golden(service.sample, {"y": np.array([[7.26]])}, tolerance, 0.0)
        changed = msgspec.structs.replace(service, expected=golden)
        if sound:
            assert ask(route="test", service=changed).status == 200
        else:
            with pytest.raises(ModelFailed, match="no longer") as caught:
                ask(route="test", service=changed, x_request_id=b"mine")
            assert caught.value.request_id == "mine"


def test_without_a_sample_there_is_no_self_test() -> None:
    bare = msgspec.structs.replace(models.classifier(), sample=None, answer=None, expected=None)
    with pytest.raises(NotFound, match="sample"):
        ask(route="test", service=bare)
