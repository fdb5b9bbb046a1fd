"""FastAPI by hand for rows with names: a Pydantic model of the columns `input_0`, `input_1`, ... of the model."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, create_model
from session import make_session

session = make_session()
width = session.get_inputs()[0].shape[1]
names = [f"input_{index}" for index in range(width)]
Record = create_model("Record", **dict.fromkeys(names, (float, ...)))


class PredictRequest(BaseModel):
    records: list[Record]


class PredictResponse(BaseModel):
    prediction: list[list[float]]


app = FastAPI()


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    rows = np.array([[getattr(record, name) for name in names] for record in request.records], dtype=np.float32)
    _, probabilities = session.run(None, {"input": rows})
    return PredictResponse(prediction=probabilities.tolist())
