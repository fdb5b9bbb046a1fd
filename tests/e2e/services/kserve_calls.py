"""Ask a server with KServe's own client, in an environment of its own: its pins do not fit beside ours.

kserve_calls.py URL GRPC_ADDRESS MODEL ROW_AS_JSON     prints one JSON object
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, RESTConfig


def request(model: str, row: list[float], *, binary: bool) -> InferRequest:
    """One row, as raw bytes or as typed contents."""
    given = InferInput("input", [1, len(row)], "FP32")
    given.set_data_from_numpy(np.array([row], np.float32), binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[given])


def answered(response: Any) -> dict[str, Any]:
    """The outputs by name."""
    return {output.name: output.as_numpy().tolist() for output in response.outputs}


async def main(url: str, address: str, model: str, row: list[float]) -> None:
    """Ask everything."""
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    first = InferenceRESTClient(RESTConfig(protocol="v1"))
    grpc = InferenceGRPCClient(address)
    said = {
        "rest health": [
            await rest.is_server_live(url),
            await rest.is_server_ready(url),
            await rest.is_model_ready(url, model),
        ],
        "grpc health": [await grpc.is_server_live(), await grpc.is_server_ready(), await grpc.is_model_ready(model)],
        "v1": await first.infer(url, {"instances": [row]}, model_name=model),
    }
    for form in ("binary", "typed"):
        asked = request(model, row, binary=form == "binary")
        said[f"rest {form}"] = answered(await rest.infer(url, asked, model_name=model))
        said[f"grpc {form}"] = answered(await grpc.infer(asked))
    print(json.dumps(said))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
