"""BentoML: one service with one worker."""

import bentoml
import numpy as np


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Iris:
    def __init__(self) -> None:
        from session import make_session

        self.session = make_session()

    @bentoml.api
    def predict(self, data: list[list[float]]) -> dict:
        _, probabilities = self.session.run(None, {"input": np.array(data, dtype=np.float32)})
        return {"prediction": probabilities.tolist()}
