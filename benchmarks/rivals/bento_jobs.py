"""BentoML: a task, whose requests and results it keeps in SQLite (WAL; `synchronous` is SQLite's default, FULL)."""

import bentoml


@bentoml.service(workers=2, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Jobs:
    def __init__(self) -> None:
        from job_model import predict

        self.answer = predict

    @bentoml.task
    def predict(self, data: list[list[float]]) -> list[list[float]]:
        return self.answer(data)
