"""gRPC's server reflection: lets `grpcurl` and its like call this server without its .proto files."""

from collections.abc import Iterable
from typing import Any

from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import answers
from septet.protocols.rpc.descriptors import Message, message, pool
from septet.protocols.rpc.methods import Method, methods_of, read, written
from septet.protocols.rpc.paths import REFLECTION

PATHS = tuple(f"/{service}/ServerReflectionInfo" for service in REFLECTION)
# gRPC's numbers, which an answer holds as such.
INVALID_ARGUMENT, NOT_FOUND = 3, 5


class Reflection:
    """Describes the given services, and itself."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = (*services, *REFLECTION)

    def methods(self) -> tuple[Method, ...]:
        """The same stream under its two names."""
        return methods_of(self, *(Method(path, "both") for path in PATHS))

    @answers("POST", PATHS[0])
    @answers("POST", PATHS[1])
    async def info(self, http: HttpRequest) -> HttpReply:
        """What one message of the stream asks."""
        asked = read("grpc.reflection.v1.ServerReflectionRequest", http.body)
        answer = message("grpc.reflection.v1.ServerReflectionResponse")(valid_host=asked.host, original_request=asked)
        what = asked.WhichOneof("message_request")
        if what == "list_services":
            for name in self._services:
                answer.list_services_response.service.add(name=name)
        elif what in {"file_by_filename", "file_containing_symbol"}:
            self._describe(answer, what, getattr(asked, what))
        else:
            # The messages here are proto3's, which have no extensions.
            answer.error_response.error_code = NOT_FOUND if what else INVALID_ARGUMENT
            answer.error_response.error_message = "There are no extensions." if what else "The request asks nothing."
        return written(http, answer)

    def _describe(self, answer: Message, what: str, name: str) -> None:
        try:
            file = pool().FindFileByName(name) if what == "file_by_filename" else pool().FindFileContainingSymbol(name)
        except KeyError:
            answer.error_response.error_code = NOT_FOUND
            answer.error_response.error_message = f"There is no {name!r} here."
            return
        answer.file_descriptor_response.file_descriptor_proto.extend(
            each.serialized_pb for each in (file, *_imports(file))
        )


def _imports(file: Any) -> list[Any]:
    """Every file that one needs, each once."""
    found: dict[str, Any] = {}
    for each in file.dependencies:
        for needed in (each, *_imports(each)):
            found[needed.name] = needed
    return list(found.values())
