"""The application mounted into somebody's FastAPI application."""

import os

import fastapi

import septet

app = fastapi.FastAPI()
app.mount("/iris", septet.asgi(os.environ["MODEL_UNDER_TEST"]))


@app.get("/own")
def own() -> dict[str, str]:
    return {"mine": "yes"}
