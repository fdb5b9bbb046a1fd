"""The compiled .proto files, held against those that independent clients bring along."""

from typing import Any

import grpc_health.v1.health_pb2 as health
import grpc_reflection.v1alpha.reflection_pb2 as reflection
import pytest
import tritonclient.grpc.model_config_pb2 as triton_config
import tritonclient.grpc.service_pb2 as triton

from septet.assembly.grpc_serving import grpc_templates
from septet.protocols.rpc.descriptors import message, pool
from septet.protocols.rpc.paths import HEALTH, INFERENCE, REFLECTION

FILES = ("inference.proto", "health.proto", "reflection.proto")
THEIRS = (triton, triton_config, health, reflection)
ENUM = 14
# In the protocol and its generated clients, not in Triton's.
MORE = {("inference.ModelMetadataResponse", "properties", 6)}


def every(kinds: Any) -> list[Any]:
    """Messages, with those inside them."""
    return [each for kind in kinds.values() for each in (kind, *every(kind.nested_types_by_name))]


def plain(name: str) -> str:
    """A full name without the version of its package: reflection has the same messages in two."""
    return name.replace(".v1alpha.", ".v1.")


def facts(field: Any) -> tuple[Any, ...]:
    kind = field.message_type
    return field.name, field.number, field.type, field.is_repeated, kind and plain(kind.full_name)


OURS = {
    each.full_name: each
    for file in FILES
    for each in every(pool().FindFileByName(file).message_types_by_name)
    if each.name != "PropertiesEntry"
}
INDEPENDENT = {
    plain(each.full_name): each for module in THEIRS for each in every(module.DESCRIPTOR.message_types_by_name)
}


@pytest.mark.parametrize("name", list(OURS))
def test_every_field_has_the_number_and_type_that_clients_know(name: str) -> None:
    known = {facts(field) for field in INDEPENDENT[name].fields}
    ours = [field for field in OURS[name].fields if (name, field.name, field.number) not in MORE]
    assert {facts(field) for field in ours} <= known


@pytest.mark.parametrize("name", list(OURS))
def test_every_name_of_an_enumeration_has_the_number_that_clients_know(name: str) -> None:
    theirs = {field.name: field for field in INDEPENDENT[name].fields}
    for field in OURS[name].fields:
        if field.type == ENUM:
            known = {value.name: value.number for value in theirs[field.name].enum_type.values}
            assert {value.name: value.number for value in field.enum_type.values}.items() <= known.items()


def test_messages_of_a_client_in_the_same_process_are_read_and_written() -> None:
    """Python has one place for all generated messages; ours are not there."""
    theirs = triton.ModelInferRequest(model_name="iris", raw_input_contents=[b"1234"])
    theirs.inputs.add(name="x", datatype="FP32", shape=[1]).parameters["p"].double_param = 0.5
    ours = message("inference.ModelInferRequest").FromString(theirs.SerializeToString())
    assert (ours.model_name, ours.inputs[0].parameters["p"].double_param) == ("iris", 0.5)
    assert triton.ModelInferRequest.FromString(ours.SerializeToString()) == theirs


def test_every_method_has_its_path_in_the_list_that_metrics_count_by() -> None:
    services = [pool().FindServiceByName(name) for name in (INFERENCE, HEALTH, *REFLECTION)]
    paths = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert paths == set(grpc_templates())
