"""FastAPI by hand for rows with numbers and texts, each column an input of the model."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from session import make_session

app = FastAPI()
session = make_session()


class Passenger(BaseModel):
    age: int
    fare: float
    sex: str
    port: str


class PredictRequest(BaseModel):
    records: list[Passenger]


class PredictResponse(BaseModel):
    prediction: list[list[float]]


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    rows = request.records
    inputs = {
        "age": np.array([[row.age] for row in rows], dtype=np.int64),
        "fare": np.array([[row.fare] for row in rows], dtype=np.float32),
        "sex": np.array([[row.sex] for row in rows], dtype=object),
        "port": np.array([[row.port] for row in rows], dtype=object),
    }
    _, probabilities = session.run(None, inputs)
    return PredictResponse(prediction=probabilities.tolist())
