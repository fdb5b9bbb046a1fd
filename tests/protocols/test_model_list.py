"""`GET /models`: which models a server has, and where the routes of each stand."""

import asyncio
from typing import Any

import msgspec
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.native.model_list import ModelList
from septet.service import Service
from septet.settings import Limits
from tests.protocols import models


def named(name: str, service: Service) -> Service:
    return msgspec.structs.replace(service, identity=msgspec.structs.replace(service.identity, name=name))


def listed(made: App) -> dict[str, Any]:
    made.install(lambda _: (), (ModelList(made.models),), NullObserver(), Limits(max_body_bytes=1_000))
    reply = asyncio.run(made(HttpRequest("GET", "/models", b"", {b"x-request-id": b"mine"}, b"")))
    assert (reply.status, reply.id) == (200, "mine")
    found: dict[str, Any] = msgspec.json.decode(reply.body)
    return found


def test_each_model_is_listed_with_who_it_is_and_where_it_stands() -> None:
    made = App()
    made.models.install(models.iris())
    made.models.install(named("odd name", models.mixed()))
    identity = models.IDENTITY
    known = {"version": identity.version, "digest": identity.digest, "kind": "classification"}
    text = "Tells three species of iris apart by the size of their flowers."
    assert listed(made) == {
        "models": [
            {"name": "iris", **known, "description": text, "path": "/models/iris"},
            {"name": "odd name", **known, "description": None, "path": "/models/odd%20name"},
        ],
        "missing": {},
    }


def test_a_model_that_could_not_be_loaded_is_listed_with_the_reason() -> None:
    made = App()
    made.models.install(models.iris())
    made.models.fail("broken", "broken.onnx is not an ONNX model")
    assert listed(made)["missing"] == {"broken": "broken.onnx is not an ONNX model"}


def test_the_list_is_as_the_document_says() -> None:
    made = App()
    made.models.install(models.iris())
    made.models.fail("broken", "why")
    said = models.document(models.iris())["paths"]["/models"]["get"]["responses"]["200"]
    Draft202012Validator(said["content"]["application/json"]["schema"]).validate(listed(made))
