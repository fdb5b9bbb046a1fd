"""Addresses, first exchanges, and what a server says of its model."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.bench.address import ask, target_of, tls_context
from septet.bench.load import Target
from septet.bench.requests import MOST_PAYLOADS, Protocol, Requests, request_bytes
from septet.bench.served_model import described
from septet.errors import Invalid, SeptetError, Unavailable
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.remote.caller_tls import CallerTls
from tests.bench.servers import ServerThread, answer

METADATA: dict[str, Any] = {
    "name": "mixed",
    "version": "1",
    "digest": "sha256:0",
    "runtime": "onnx",
    "kind": "regression",
    "rows": True,
    "inputs": [
        {"name": "age", "dtype": "float32", "shape": [-1, 1]},
        {"name": "place", "dtype": "string", "shape": [-1]},
    ],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 1]}],
    "columns": [{"name": "age", "dtype": "float32"}, {"name": "place", "dtype": "string"}],
    "data_sample": [[41.5, "Ulm"]],
    "prediction_sample": [7.0],
    "what": "is new is ignored",
}
TARGET = Target("127.0.0.1", 1, "here:1")
MIXED = Signature(
    Kind.REGRESSION,
    (
        Tensor("age", "float32", (None, 1), (Column("age", "float32"),)),
        Tensor("place", "string", (None,), (Column("place", "string"),)),
    ),
    (Tensor("y", "float32", (None, 1)),),
)
IMAGE = Signature(Kind.TENSORS, (Tensor("x", "uint8", (2, 2)),), (Tensor("y", "uint8", (2, 2)),), rows=False)
ROWS = {"age": np.array([[1.5], [2.5], [3.5]], np.float32), "place": np.array(["a", "b", None], object)}


def target_to(server: ServerThread) -> Target:
    return target_of(f"http://127.0.0.1:{server.port}")[0]


def requests(protocol: Protocol, signature: Signature = MIXED) -> Requests:
    return Requests(TARGET, "/base", signature, "mixed", protocol)


def head_and_body(data: bytes) -> tuple[str, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body


def test_a_url_names_server_and_prefix() -> None:
    target, prefix = target_of("https://models.example/iris/", insecure=True)
    assert (target.host, target.port, target.authority, target.tls) == (
        "models.example",
        443,
        "models.example",
        True,
    )
    assert prefix == "/iris"
    assert target_of("http://[::1]:8000")[0].host == "::1"


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://x:notaport", "http://me@x", "http://x/?a=1", "http://x:99999"]
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="URL|give scheme"):  # noqa: RUF043 - two words
        target_of(url)


def test_certificates_are_checked_unless_told_otherwise(tmp_path: Path) -> None:
    assert tls_context(target_of("http://x")[0]) is None
    strict, lax = (tls_context(target_of("https://x", insecure=each)[0]) for each in (False, True))
    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert lax is not None
    assert lax.verify_mode is ssl.CERT_NONE
    with pytest.raises(Invalid, match="certificates"):
        tls_context(target_of("https://x", tls=CallerTls(str(tmp_path / "none.pem")))[0])


def test_a_server_that_does_not_answer_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        target = target_of(f"http://127.0.0.1:{silent.getsockname()[1]}")[0]
        with pytest.raises(Unavailable, match="does not answer"):
            ask(target, b"", 1)
    with ServerThread(lambda _: (0.0, b"not http\r\n\r\n")) as server, pytest.raises(Unavailable):
        ask(target_to(server), request_bytes(TARGET, "GET", "/", {}, b""), 5)


def test_a_model_is_read_back_from_its_metadata() -> None:
    with ServerThread(lambda _: (0.0, answer(json.dumps(METADATA).encode()))) as server:
        found = described(target_to(server), "", 5)
    assert found.signature == MIXED
    assert found.sample is not None
    assert found.sample["place"].tolist() == ["Ulm"]
    assert (found.name, found.prediction) == ("mixed", [7.0])


def test_a_model_of_tensors_is_read_back_too() -> None:
    tensors = [{"name": "x", "dtype": "uint8", "shape": [2, 2]}]
    changed = {"kind": "tensors", "rows": False, "inputs": tensors, "columns": []}
    for sample in ({"x": [[1, 2], [3, 4]]}, None):
        body = json.dumps({**METADATA, **changed, "data_sample": sample}).encode()
        with ServerThread(lambda _, body=body: (0.0, answer(body))) as server:  # type: ignore[misc]
            found = described(target_to(server), "", 5)
        assert found.signature.inputs == IMAGE.inputs
        assert (found.sample is None) == (sample is None)


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"no", "404 Not Found"),
        answer(b"{}"),
        answer(b"<html>"),
        answer(json.dumps({**METADATA, "data_sample": [["no number", 1]]}).encode()),
    ],
)
def test_another_server_is_told_apart_with_a_hint(reply: bytes) -> None:
    with ServerThread(lambda _: (0.0, reply)) as server, pytest.raises(SeptetError, match="--body and --path"):
        described(target_to(server), "", 5)


def test_rows_are_written_as_data_one_request_each() -> None:
    made = requests("data").payloads(ROWS, 1)
    head, body = head_and_body(made[1].data)
    assert head.splitlines()[:2] == ["POST /base/predict HTTP/1.1", "host: here:1"]
    assert f"content-length: {len(body)}" in head
    assert json.loads(body) == {"data": [[2.5, "b"]]}
    assert (len(made), made[1].rows, made[1].body_bytes) == (3, 1, len(body))


def test_rows_are_written_as_records() -> None:
    made = requests("records").payloads(ROWS, 3)
    assert json.loads(head_and_body(made[0].data)[1])["records"][2] == {"age": 3.5, "place": None}


def test_too_few_rows_are_used_again_and_too_many_are_left() -> None:
    (only,) = requests("data").payloads(ROWS, 5)
    assert [row[0] for row in json.loads(head_and_body(only.data)[1])["data"]] == [1.5, 2.5, 3.5, 1.5, 2.5]
    many = {"age": np.zeros((MOST_PAYLOADS + 5, 1), np.float32), "place": np.full(MOST_PAYLOADS + 5, "a", object)}
    assert len(requests("data").payloads(many, 1)) == MOST_PAYLOADS


def test_rows_are_written_in_the_open_inference_protocol() -> None:
    head, body = head_and_body(requests("v2").payload(ROWS, 3).data)
    assert head.startswith("POST /base/v2/models/mixed/infer ")
    age, place = json.loads(body)["inputs"]
    assert age == {"name": "age", "shape": [3, 1], "datatype": "FP32", "data": [1.5, 2.5, 3.5]}
    assert place["datatype"] == "BYTES"


def test_rows_are_written_as_raw_bytes_behind_their_description() -> None:
    head, body = head_and_body(requests("v2-binary").payload(ROWS, 3).data)
    length = int(head.partition("inference-header-content-length: ")[2].splitlines()[0])
    document = json.loads(body[:length])
    sizes = [each["parameters"]["binary_data_size"] for each in document["inputs"]]
    assert document["parameters"] == {"binary_data_output": True}
    assert np.frombuffer(body[length : length + sizes[0]], "<f4").tolist() == [1.5, 2.5, 3.5]
    assert len(body) == length + sum(sizes)


def test_a_model_without_rows_takes_one_unit_a_request() -> None:
    image = {"x": np.array([[1, 2], [3, 4]], np.uint8)}
    (only,) = requests("data", IMAGE).payloads(image, 1)
    assert json.loads(head_and_body(only.data)[1]) == {"inputs": {"x": [[1, 2], [3, 4]]}}
    assert only.rows is None
    with pytest.raises(Invalid, match="--rows-per-request"):
        requests("data", IMAGE).payloads(image, 2)
    with pytest.raises(Invalid, match="--protocol records"):
        requests("records", IMAGE).payloads(image, 1)


def test_a_request_without_a_body_has_no_length() -> None:
    assert b"content-length" not in request_bytes(TARGET, "GET", "/", {"x": "y"}, b"")
    assert b"content-length: 0" in request_bytes(TARGET, "POST", "/", {}, b"")
