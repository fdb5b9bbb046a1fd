"""What the application answers where a predictor raises, and where a model could not be loaded."""

import asyncio

import msgspec
import pytest

from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.types import Done, Pending, Predictor, Request
from tests.protocols import models

BODY = b'{"data":[[1,2,3,4]]}'


class Raising(Predictor):
    """Raises in place of a call of `done`, as a faulty middleware may."""

    def submit(self, request: Request, done: Done) -> Pending:
        raise LookupError(request.id + str(done))


def ask(made: App, path: str) -> HttpReply:
    return asyncio.run(made(HttpRequest("POST", path, b"", {b"content-type": b"application/json"}, BODY)))


def test_a_predictor_that_raises_is_a_failed_request_and_leaves_none_in_flight() -> None:
    service = msgspec.structs.replace(models.classifier(), predictor=Raising())
    made = models.app(service, models.native(service))
    assert ask(made, "/predict").status == 500
    model = made.models.sole
    assert model is not None
    assert model.in_flight == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/wine/predict", 503),
        ("/v2/models/wine", 503),
        ("/v1/models/wine:predict", 503),
        ("/models/wine2/predict", 404),
        ("/v2/models/wine.red/infer", 404),
    ],
)
def test_only_the_paths_of_a_missing_model_say_that_it_could_not_be_loaded(path: str, status: int) -> None:
    service = models.classifier()
    made = models.app(service, models.native(service))
    made.models.fail("wine", "it is not an ONNX model")
    reply = ask(made, path)
    assert (reply.status, b"'wine' could not be loaded" in reply.body) == (status, status == 503)
