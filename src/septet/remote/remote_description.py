"""The description of a model by its server: Septet's own where it gives one, else the protocol's."""

from collections.abc import Mapping
from typing import Any

import msgspec

from septet.errors import Invalid, Malformed, MethodNotAllowed, NotFound, SeptetError, StartupError, Unimplemented
from septet.model.manifest import Parity, Training
from septet.model.signature import Signature
from septet.remote.channels import ThreadChannel
from septet.remote.remote_calls import (
    MetadataCall,
    ModelIndexCall,
    RemoteCall,
    ServerMetadataCall,
    TensorMetadataCall,
)
from septet.remote.remote_model import RemoteModel, protocol_model, septet_model
from septet.remote.retries import Attempts
from septet.service import Merging

RUNTIME = "remote"
#: Keys that the descriptions of other servers do not have.
SEPTET_KEYS = frozenset(("kind", "digest"))
BINARY_EXTENSION = "binary_tensor_data"


class RemoteProvenance(msgspec.Struct, frozen=True):
    """What Septet's `/metadata` has beyond the signature; of another server nothing is known.

    `data_sample` is one row that the model answers, as `/predict` takes it.
    """

    runtime: str = RUNTIME
    description: str | None = None
    training: Training = Training()
    valid_for_days: int | None = None
    parity: Parity | None = None
    merging: Merging | None = None
    data_sample: Any = None


class RemoteDescription(msgspec.Struct, frozen=True):
    """A model on a server; `call` is the one by which Septet described it, None for another server."""

    model: RemoteModel
    provenance: RemoteProvenance = RemoteProvenance()
    call: MetadataCall | None = None


def describe(
    channel: ThreadChannel, attempts: Attempts, name: str | None, signature: Signature | None
) -> RemoteDescription:
    """Ask a server for the description of a model, by its name or as the only one.

    `signature` is taken where the server is not Septet.

    Raises:
        StartupError: there is no such model, or there are several and none is named.
        SeptetError: the server cannot be reached, or does not say enough.
    """
    for call in dict.fromkeys((MetadataCall(name), MetadataCall())):
        metadata = _optional(channel, attempts, call)
        if metadata is not None and metadata.keys() >= SEPTET_KEYS and name in (None, metadata.get("name")):
            return _septet(metadata, call)
    metadata = channel.call(TensorMetadataCall(name or _only_model(channel, attempts)), attempts)
    return RemoteDescription(protocol_model(metadata, signature))


def reads_binary(channel: ThreadChannel, attempts: Attempts) -> bool:
    """Whether a server reads tensors as bytes: one that lists its extensions must name it."""
    metadata = _optional(channel, attempts, ServerMetadataCall())
    return metadata is None or "extensions" not in metadata or BINARY_EXTENSION in metadata["extensions"]


def _septet(metadata: Mapping[str, Any], call: MetadataCall) -> RemoteDescription:
    model = septet_model(metadata)
    try:
        return RemoteDescription(model, msgspec.convert(metadata, RemoteProvenance), call)
    except msgspec.ValidationError as error:
        text = f"The server's description of its model is not one that this version reads: {error}"
        raise SeptetError(text) from error


def _optional(channel: ThreadChannel, attempts: Attempts, call: RemoteCall) -> dict[str, Any] | None:
    """The result of a call that a server need not know."""
    try:
        result: dict[str, Any] = channel.call(call, attempts)
    except (Invalid, Malformed, MethodNotAllowed, NotFound, Unimplemented):
        return None
    except SeptetError as error:
        if type(error) is not SeptetError:
            raise
        return None  # answered with something else
    return result


def _only_model(channel: ThreadChannel, attempts: Attempts) -> str:
    try:
        names = list(dict.fromkeys(channel.call(ModelIndexCall(), attempts)))
    except (Invalid, Malformed, MethodNotAllowed, NotFound, Unimplemented) as error:
        raise StartupError("The server does not list its models: name one.") from error
    if len(names) != 1:
        raise StartupError(f"The server has the models {', '.join(map(repr, names)) or '(none)'}: name one.")
    name: str = names[0]
    return name
