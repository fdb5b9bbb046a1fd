"""A served model over gRPC, asked by clients that know nothing of Septet."""

import queue
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from tests.e2e.grpc_server import ROWS, iris_input, outputs, serving
from tests.e2e.process import ServerProcess

Address = tuple[ServerProcess, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with serving(tmp_path_factory.mktemp("grpc") / "log", "--max-body-bytes", "100000") as found:
        yield found


@pytest.fixture
def client(served: Address) -> Iterator[Any]:
    with triton.InferenceServerClient(served[1]) as found:
        yield found


@pytest.fixture
def channel(served: Address) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served[1]) as found:
        yield found


def call(channel: grpc.Channel, method: str) -> Any:
    """A method whose messages are bytes."""
    return channel.unary_unary(f"/inference.GRPCInferenceService/{method}", _registered_method=False)


def asked(**more: Any) -> Any:
    """A request for the first row, with typed contents."""
    message = service_pb2.ModelInferRequest(**{"model_name": "iris", **more})
    given = message.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    given.contents.fp32_contents.extend(ROWS[0].tolist())
    return message


def status(channel: grpc.Channel, message: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelInfer")(message.SerializeToString(), **more)
    return caught.value.code().name, caught.value.details()


def test_tritons_client_finds_the_server_and_its_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("iris", "2")
    assert client.get_server_metadata().name == "septet"
    (entry,) = client.get_model_repository_index().models
    assert (entry.name, entry.version, entry.state) == ("iris", "1", "READY")


def test_tritons_client_reads_metadata_and_configuration(client: Any) -> None:
    metadata = client.get_model_metadata("iris")
    assert [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs] == [("input", "FP32", [-1, 4])]
    assert [each.name for each in metadata.outputs] == ["label", "probabilities"]
    config = client.get_model_config("iris").config
    assert (config.name, config.input[0].data_type, list(config.input[0].dims)) == ("iris", 11, [4])


def test_tritons_client_gets_the_answers_of_rest(served: Address, client: Any) -> None:
    answer = client.infer("iris", [iris_input()], request_id="mine", outputs=outputs(["probabilities", "label"]))
    assert answer.get_response().id == "mine"
    expected = served[0].prediction("/predict", {"data": ROWS.tolist()})
    assert answer.as_numpy("probabilities").tolist() == pytest.approx(np.array(expected, np.float32))
    assert answer.as_numpy("label").tolist() == [0, 1, 2]


def test_every_way_of_asking_gives_the_same_bits(served: Address, client: Any, channel: grpc.Channel) -> None:
    rest = f"http://{served[0].client.base_url.host}:{served[0].port}/v2/models/iris/infer"
    tensor = {"name": "input", "shape": [3, 4], "datatype": "FP32"}
    json = served[0].client.post(rest, json={"inputs": [{**tensor, "data": ROWS.tolist()}]}).json()
    raw = client.infer("iris", [iris_input()])
    message = service_pb2.ModelInferRequest(model_name="iris")
    message.inputs.add(**tensor).contents.fp32_contents.extend(ROWS.ravel().tolist())
    typed = service_pb2.ModelInferResponse.FromString(call(channel, "ModelInfer")(message.SerializeToString()))
    binary = served[0].client.post(rest, content=ROWS.tobytes(), headers={"inference-header-content-length": "0"})
    tail = binary.content[int(binary.headers["inference-header-content-length"]) :]
    label, scores = raw.as_numpy("label"), raw.as_numpy("probabilities")
    assert tail == label.tobytes() + scores.tobytes()
    assert list(typed.outputs[0].contents.int64_contents) == json["outputs"][0]["data"] == label.tolist()
    assert np.array(typed.outputs[1].contents.fp32_contents, np.float32).tobytes() == scores.tobytes()
    assert np.array(json["outputs"][1]["data"], np.float32).tobytes() == scores.tobytes()


def test_tritons_client_streams(client: Any) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for request_id, name in (("one", "iris"), ("two", "other"), ("three", "iris")):
        client.async_stream_infer(name, [iris_input()], request_id=request_id)
    first, refused, last = (answers.get(timeout=20) for _ in range(3))
    client.stop_stream()
    assert [first[0].get_response().id, last[0].get_response().id] == ["one", "three"]
    assert "no model 'other'" in str(refused[1])
    assert first[0].as_numpy("label").tolist() == [0, 1, 2]


def test_calls_are_counted(served: Address, client: Any) -> None:
    client.infer("iris", [iris_input()])
    with pytest.raises(InferenceServerException):
        client.infer("iris", [iris_input(), iris_input()])
    (statistics,) = client.get_inference_statistics("iris").model_stats
    assert statistics.inference_count >= 3
    assert statistics.inference_stats.success.count >= 1
    assert statistics.inference_stats.fail.count >= 1
    assert 'route="/inference.GRPCInferenceService/ModelInfer"' in served[0].client.get("/metrics").text


def test_the_client_that_is_generated_from_the_specification_is_answered(served: Address) -> None:
    """In a process of its own: its messages have the names of those of Triton's client, and Python takes only one."""
    code = f"""
import grpc
from open_inference.grpc.protocol import ModelInferRequest, ModelMetadataRequest, ServerReadyRequest
from open_inference.grpc.service import GRPCInferenceServiceStub
stub = GRPCInferenceServiceStub(grpc.insecure_channel({served[1]!r}))
assert stub.ServerReady(ServerReadyRequest()).ready
assert stub.ModelMetadata(ModelMetadataRequest(name="iris")).inputs[0].datatype == "FP32"
asked = ModelInferRequest(model_name="iris")
asked.inputs.add(name="input", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend({ROWS[2].tolist()!r})
assert list(stub.ModelInfer(asked).outputs[0].contents.int64_contents) == [2]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_trailing_metadata_names_the_model_and_the_request(channel: grpc.Channel) -> None:
    _, made = call(channel, "ModelInfer").with_call(
        asked().SerializeToString(), metadata=(("x-request-id", "mine"), ("x-more", "passed over"))
    )
    trailing = dict(made.trailing_metadata())
    assert (trailing["x-request-id"], trailing["septet-model"], trailing["septet-model-version"]) == (
        "mine",
        "iris",
        "1",
    )
    assert trailing["septet-model-digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (asked(model_name="other"), "NOT_FOUND", "no model 'other'"),
        (asked(model_version="9"), "NOT_FOUND", "no version '9'"),
        (asked(raw_input_contents=[b"\0" * 16]), "INVALID_ARGUMENT", "one way"),
        (service_pb2.ModelInferRequest(model_name="iris"), "INVALID_ARGUMENT", "'input' is missing"),
    ],
)
def test_what_is_wrong_is_told_by_status_and_text(channel: grpc.Channel, message: Any, code: str, text: str) -> None:
    found, details = status(channel, message)
    assert found == code
    assert text in details


def test_the_metadata_of_an_unknown_model_is_not_found(client: Any) -> None:
    for asked_of in (("other",), ("iris", "2")):
        with pytest.raises(InferenceServerException) as caught:
            client.get_model_metadata(*asked_of)
        assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_a_wrong_datatype_is_an_invalid_argument(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="takes the datatype FP32") as caught:
        client.infer("iris", [iris_input(ROWS.astype(np.float64), "FP64")])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_bytes_that_are_no_message_are_an_invalid_argument(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelMetadata")(b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_id_that_no_header_can_hold_is_an_invalid_argument(channel: grpc.Channel) -> None:
    found, details = status(channel, asked(), metadata=(("x-request-id", "i" * 129),))
    assert (found, "x-request-id" in details) == ("INVALID_ARGUMENT", True)


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "SystemSharedMemoryStatus")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused_and_the_server_goes_on(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer("iris", [iris_input(np.zeros((10_000, 4), np.float32))])
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
    assert client.infer("iris", [iris_input()]).as_numpy("label").tolist() == [0, 1, 2]


def test_a_call_without_time_left_is_told_so(channel: grpc.Channel) -> None:
    message = asked()
    message.parameters["timeout"].int64_param = 1
    assert status(channel, message, timeout=20) == (
        "DEADLINE_EXCEEDED",
        "The answer was not ready before the request's deadline.",
    )


def test_the_standard_health_service_knows_the_server_the_service_and_the_model(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "inference.GRPCInferenceService", "iris"):
        assert health.Check(health_pb2.HealthCheckRequest(service=name)).status == 1
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(health_pb2.HealthCheckRequest(service="other"))
    assert next(watch).status == 3
    watch.cancel()


def test_reflection_describes_every_service(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(services)
    pool = DescriptorPool(database)
    assert all(pool.FindServiceByName(service).methods for service in services)
    method = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelInfer"]
    assert [field.number for field in method.input_type.fields] == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(KeyError):
        database.FindFileContainingSymbol("no.such.Symbol")
    with pytest.raises(KeyError):
        database.FindFileByName("no_such.proto")
