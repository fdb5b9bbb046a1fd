"""What reflection says to requests that its usual clients do not send."""

import asyncio
from typing import Any

import pytest

from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import server_paths
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.health import HealthService
from septet.protocols.rpc.methods import Method
from septet.protocols.rpc.reflection import Reflection
from septet.registry import Models

REFLECTED = Reflection(["a.Service"])


def told(owner: Reflection | HealthService, method: Method, body: bytes) -> HttpReply:
    handle = server_paths(owner)[method.path].handlers["POST"]

    async def ask() -> HttpReply:
        return await handle(HttpRequest("POST", method.path, b"", {}, body))

    return asyncio.run(ask())


def reflected(**asked: Any) -> Any:
    body = message("grpc.reflection.v1.ServerReflectionRequest")(host="here", **asked).SerializeToString()
    reply = told(REFLECTED, REFLECTED.methods()[0], body)
    return message("grpc.reflection.v1.ServerReflectionResponse").FromString(reply.body)


def test_the_answer_repeats_the_question() -> None:
    answer = reflected(list_services="*")
    assert (answer.valid_host, answer.original_request.list_services) == ("here", "*")
    assert answer.list_services_response.service[0].name == "a.Service"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, 3),
        ({"all_extension_numbers_of_type": "inference.InferParameter"}, 5),
        ({"file_containing_symbol": "no.Symbol"}, 5),
        ({"file_by_filename": "none.proto"}, 5),
    ],
)
def test_what_is_not_there_is_an_error_inside_the_answer(asked: dict[str, str], code: int) -> None:
    assert reflected(**asked).error_response.error_code == code


def test_a_file_comes_with_what_it_needs() -> None:
    assert (
        len(reflected(file_by_filename="reflection_v1alpha.proto").file_descriptor_response.file_descriptor_proto) == 2
    )


@pytest.mark.parametrize("owner", [REFLECTED, HealthService(lambda: True, [], Models())])
def test_bytes_that_are_no_message_are_refused(owner: Reflection | HealthService) -> None:
    for method in owner.methods():
        with pytest.raises(Malformed):
            told(owner, method, b"\xff\xff\xff")


def test_a_server_that_is_not_ready_does_not_serve() -> None:
    health = HealthService(lambda: False, ["iris"], Models())
    check, _ = health.methods()
    body = message("grpc.health.v1.HealthCheckRequest")(service="iris").SerializeToString()
    assert message("grpc.health.v1.HealthCheckResponse").FromString(told(health, check, body).body).status == 2
