"""What `/v1` and `/invocations` answer is what OpenAPI promises, for every kind of model."""

import asyncio
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.mlflow.invocations import InvocationsRoute
from septet.protocols.tfserving.v1_routes import V1Models, V1Routes
from septet.service import Service
from septet.settings import Limits
from tests.protocols import models

SERVICES = models.every_kind()
each_kind = pytest.mark.parametrize("name", SERVICES)
PATHS = ("/v1/models/iris:predict", "/invocations")


def served(service: Service) -> App:
    made, factory = models.app(service), models.request_factory(service)
    owners = (V1Routes(factory, made.state), InvocationsRoute(factory))
    made.install(lambda _: owners, (V1Models(made.models),), NullObserver(), Limits(max_body_bytes=1_000_000))
    return made


def ask(made: App, method: str, path: str, body: bytes = b"", media: str = "application/json") -> HttpReply:
    return asyncio.run(made(HttpRequest(method, path, b"", {b"content-type": media.encode()}, body)))


def check(document: dict[str, Any], path: str, method: str, reply: HttpReply) -> None:
    media = document["paths"][path][method]["responses"][str(reply.status)]["content"][reply.media_type.decode()]
    schema = {**media["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(msgspec.json.decode(reply.body))


@each_kind
@pytest.mark.parametrize("path", PATHS)
def test_every_example_of_a_body_is_answered_as_promised(name: str, path: str) -> None:
    service = SERVICES[name]
    document, made = models.document(service), served(service)
    content = document["paths"][path]["post"]["requestBody"]["content"]
    sent = [
        (msgspec.json.encode(each["value"]), "application/json")
        for each in content["application/json"]["examples"].values()
    ]
    if "text/csv" in content:
        sent.append((content["text/csv"]["example"].encode(), "text/csv"))
    for body, media in sent:
        reply = ask(made, "POST", path, body, media)
        assert reply.status == 200, reply.body
        check(document, path, "post", reply)


@each_kind
def test_what_is_said_of_a_model_is_as_promised(name: str) -> None:
    document, made = models.document(SERVICES[name]), served(SERVICES[name])
    for path in ("/v1/models", "/v1/models/iris", "/v1/models/iris/metadata", "/ping"):
        reply = ask(made, "GET", path)
        assert reply.status == 200
        check(document, path, "get", reply)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"instances":[["x"]]}'])
def test_errors_are_as_promised(path: str, body: bytes) -> None:
    service = models.classifier()
    document = models.document(service)
    reply = ask(served(service), "POST", path, body)
    assert reply.status == 400
    check(document, path, "post", reply)


def test_a_schema_refuses_what_the_server_refuses() -> None:
    document = models.document(models.classifier())
    body = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    judge = Draft202012Validator({**body, "components": document["components"]})
    good = {"columns": ["c0", "c1", "c2", "c3"], "data": [[1, 2, 3, 4]]}
    assert judge.is_valid({"dataframe_split": good})
    assert judge.is_valid({"dataframe_split": {**good, "index": ["a"]}, "params": {}})
    assert judge.is_valid({"instances": [{"X": [1, 2, 3, 4]}]})
    assert not judge.is_valid({"dataframe_split": {**good, "columns": ["c0", "c1", "c2"]}})
    assert not judge.is_valid({"dataframe_split": good, "instances": [[1, 2, 3, 4]]})
    assert not judge.is_valid({"instances": [{"X": [1, 2, 3]}]})
    assert not judge.is_valid({"instances": [[1, 2, 3, 4]], "params": 5})
