"""FastAPI by hand, with a `def` endpoint: FastAPI runs it in its pool of threads."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from session import make_session

app = FastAPI()
session = make_session()


class PredictRequest(BaseModel):
    data: list[list[float]]


class PredictResponse(BaseModel):
    prediction: list[list[float]]


@app.get("/health")
def health() -> dict[str, str]:
    return {"health": "ok"}


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    rows = np.array(request.data, dtype=np.float32)
    _, probabilities = session.run(None, {"input": rows})
    return PredictResponse(prediction=probabilities.tolist())
