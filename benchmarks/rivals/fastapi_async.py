"""FastAPI by hand, with an `async def` endpoint: the model runs on the event loop."""

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
async def health() -> dict[str, str]:
    return {"health": "ok"}


@app.post("/predict")
async def predict(request: PredictRequest) -> PredictResponse:
    rows = np.array(request.data, dtype=np.float32)
    _, probabilities = session.run(None, {"input": rows})
    return PredictResponse(prediction=probabilities.tolist())
