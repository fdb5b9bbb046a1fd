"""PyTriton: Triton with the Python function as a model, requests of up to 64 rows run together."""

import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from session import make_session

session = make_session()
http, grpc, metrics = (int(word) for word in sys.argv[1:4])


@batch
def infer(input):
    label, probabilities = session.run(None, {"input": input})
    return {"label": label.reshape(-1, 1), "probabilities": probabilities}


config = TritonConfig(
    http_address="127.0.0.1",
    http_port=http,
    grpc_address="127.0.0.1",
    grpc_port=grpc,
    metrics_address="127.0.0.1",
    metrics_port=metrics,
    log_verbose=0,
)
with Triton(config=config) as triton:
    triton.bind(
        model_name="iris",
        infer_func=infer,
        inputs=[Tensor(name="input", dtype=np.float32, shape=(4,))],
        outputs=[
            Tensor(name="label", dtype=np.int64, shape=(1,)),
            Tensor(name="probabilities", dtype=np.float32, shape=(3,)),
        ],
        config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
    )
    triton.serve()
