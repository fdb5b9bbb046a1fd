"""The protobuf messages of every gRPC service here, compiled from the `.proto` files beside this one (`scripts/proto`).

They live in a pool of their own. Python has one pool for all that is generated, and it refuses a second definition of a
name: whoever imports a client of the same protocol (Triton's, KServe's) beside Septet would otherwise get an error.

Message classes are `Any` to the type checker: they are made at run time from the descriptors.
"""

from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

#: A message, or a class of messages.
Message: TypeAlias = Any


@cache
def pool() -> Any:
    """The descriptors of all files; read once."""
    found = DescriptorPool()
    for file in FileDescriptorSet.FromString((files(__package__) / "descriptors.binpb").read_bytes()).file:
        found.AddSerializedFile(file.SerializeToString())
    return found


@cache
def message(name: str) -> Message:
    """The class of a message by its full name, such as `inference.ModelInferRequest`."""
    return GetMessageClass(pool().FindMessageTypeByName(name))
