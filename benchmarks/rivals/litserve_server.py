"""LitServe: one worker; with BATCH, rows of up to that many requests run together."""

import os
import sys

import litserve
import numpy as np
from session import make_session

batch = int(os.environ.get("BATCH", "1"))


class Iris(litserve.LitAPI):
    def setup(self, device):
        self.session = make_session()

    def decode_request(self, request):
        return np.array(request["data"], dtype=np.float32)

    def predict(self, rows):
        _, probabilities = self.session.run(None, {"input": rows})
        return probabilities

    def encode_response(self, output):
        return {"prediction": output.tolist()}


class BatchedIris(Iris):
    """One row a request, as the benchmark sends them."""

    def batch(self, inputs):
        return np.concatenate(inputs)

    def unbatch(self, output):
        return [output[index : index + 1] for index in range(len(output))]


if __name__ == "__main__":
    if batch > 1:
        api = BatchedIris(max_batch_size=batch, batch_timeout=0.002, api_path="/predict")
    else:
        api = Iris(api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False, access_log=False
    )
