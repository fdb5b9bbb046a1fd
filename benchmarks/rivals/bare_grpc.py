"""The least that grpc.aio can do on uvloop: decode, run, encode; no limits, checks, ids or metrics."""

import sys

import grpc
import numpy as np
import uvloop
from open_inference.grpc.protocol import ModelInferRequest, ModelInferResponse
from session import make_session

session = make_session()
OUTPUT = ModelInferResponse.InferOutputTensor


async def infer(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> ModelInferResponse:
    rows = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tuple(request.inputs[0].shape))
    label, probabilities = session.run(None, {"input": rows})
    return ModelInferResponse(
        model_name="iris",
        outputs=[
            OUTPUT(name="label", datatype="INT64", shape=label.shape),
            OUTPUT(name="probabilities", datatype="FP32", shape=probabilities.shape),
        ],
        raw_output_contents=[label.tobytes(), probabilities.tobytes()],
    )


async def main(port: int) -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=ModelInferRequest.FromString,
        response_serializer=ModelInferResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


uvloop.run(main(int(sys.argv[1])))
