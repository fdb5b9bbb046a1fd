"""Ray Serve: one replica of one CPU."""

import sys
import threading

import numpy as np
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=100,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Iris:
    def __init__(self):
        from session import make_session

        self.session = make_session()

    async def __call__(self, request: Request):
        rows = np.array((await request.json())["data"], dtype=np.float32)
        _, probabilities = self.session.run(None, {"input": rows})
        return {"prediction": probabilities.tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False}
    )
    serve.run(Iris.bind(), route_prefix="/predict")
    threading.Event().wait()
