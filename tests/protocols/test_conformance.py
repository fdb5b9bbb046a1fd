"""What the service answers is what its OpenAPI promises, for every kind of model."""

import asyncio
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from septet.errors import NotFound
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.settings import Limits
from tests.protocols import models

SERVICES = {**models.every_kind(), "iris": models.iris()}
LIMITS = Limits()
each_kind = pytest.mark.parametrize("name", SERVICES)


def check(document: dict[str, Any], path: str, method: str, reply: HttpReply) -> None:
    media = document["paths"][path][method]["responses"][str(reply.status)]["content"]["application/json"]
    schema = {**media["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(msgspec.json.decode(reply.body))


def post(path: str, body: Any, media: str = "application/json", query: bytes = b"") -> HttpRequest:
    encoded = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return HttpRequest("POST", path, query, {b"content-type": media.encode()}, encoded)


@each_kind
def test_every_example_of_a_body_is_answered_as_promised(name: str) -> None:
    service = SERVICES[name]
    document, native = models.document(service, limits=LIMITS), models.native(service)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    examples = [(each["value"], "application/json") for each in content["application/json"]["examples"].values()]
    if "text/csv" in content:
        examples.append((content["text/csv"]["example"], "text/csv"))
    answers = [models.reply(service, native.predict, post("/predict", *example)) for example in examples]
    for answer in answers:
        check(document, "/predict", "post", answer)
    assert len({msgspec.json.encode(msgspec.json.decode(answer.body)["prediction"]) for answer in answers}) == 1


@each_kind
def test_labels_are_answered_as_promised(name: str) -> None:
    service = SERVICES[name]
    document, native = models.document(service, limits=LIMITS), models.native(service)
    operation = document["paths"]["/predict/label"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["examples"]["inputs"]["value"]
    if "200" not in operation["responses"]:
        with pytest.raises(NotFound):
            models.reply(service, native.predict_label, post("/predict/label", body))
        return
    check(document, "/predict/label", "post", models.reply(service, native.predict_label, post("/predict/label", body)))
    if any(parameter.get("name") == "top" for parameter in operation["parameters"]):
        ranked = models.reply(service, native.predict_label, post("/predict/label", body, query=b"top=2"))
        assert len(msgspec.json.decode(ranked.body)["prediction"][0]) == 2
        check(document, "/predict/label", "post", ranked)


@each_kind
def test_the_self_test_is_answered_as_promised(name: str) -> None:
    service = SERVICES[name]
    document = models.document(service, limits=LIMITS)
    reply = asyncio.run(models.native(service).test(HttpRequest("GET", "/predict/test", b"", {}, b"")))
    check(document, "/predict/test", "get", reply)
