"""A gRPC call that prefers its answer later gets a ticket, and the answer is the message that it would have had."""

from pathlib import Path

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse

from tests.e2e.grpc_server import serving

METHOD = "/inference.GRPCInferenceService/ModelInfer"
ASKED = ModelInferRequest(
    model_name="iris",
    inputs=[ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=[1, 4])],
    raw_input_contents=[bytes(16)],
)


def test_a_call_that_prefers_it_is_answered_later(tmp_path: Path) -> None:
    jobs = f"sqlite:///{tmp_path}/jobs.db"
    with serving(tmp_path / "log", "--jobs", jobs) as (server, address), grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(
            METHOD,
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )
        at_once = infer(ASKED, metadata=(("x-request-id", "same"),), timeout=60)
        later = (("x-request-id", "same"), ("prefer", "respond-async"), ("idempotency-key", "k"))
        ticket = infer(ASKED, metadata=later, timeout=60)
        assert not ticket.outputs
        identifier = ticket.parameters["job_id"].string_param
        assert infer(ASKED, metadata=later, timeout=60).parameters["job_id"].string_param == identifier
        answer = server.client.get(f"/job/{identifier}/answer?wait=30")
        assert ModelInferResponse.FromString(answer.content) == at_once
        with pytest.raises(grpc.RpcError) as refused:
            infer(ASKED, metadata=(*later, ("septet-job-priority", "high")), timeout=60)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
