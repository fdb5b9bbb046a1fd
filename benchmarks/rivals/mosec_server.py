"""Mosec: one worker; with BATCH, up to that many requests are handed to it together."""

import os

import numpy as np
from mosec import Server, Worker
from session import make_session

batch = int(os.environ.get("BATCH", "1"))


class Iris(Worker):
    def __init__(self):
        self.session = make_session()

    def forward(self, data):
        _, probabilities = self.session.run(None, {"input": np.array(data["data"], dtype=np.float32)})
        return {"prediction": probabilities.tolist()}


class BatchedIris(Iris):
    """One row a request, as the benchmark sends them."""

    def forward(self, data):
        rows = np.array([each["data"][0] for each in data], dtype=np.float32)
        _, probabilities = self.session.run(None, {"input": rows})
        return [{"prediction": [row]} for row in probabilities.tolist()]


if __name__ == "__main__":
    server = Server()
    if batch > 1:
        server.append_worker(BatchedIris, num=1, max_batch_size=batch, max_wait_time=2, route="/predict")
    else:
        server.append_worker(Iris, num=1, route="/predict")
    server.run()
