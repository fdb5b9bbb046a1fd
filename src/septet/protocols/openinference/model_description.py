"""The descriptions of the server and its model: metadata, configuration, and the index of models."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from septet.model.signature import Tensor
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.openinference.infer_schema import protocol_shape
from septet.service import Service
from septet.settings import Limits

#: What is answered beyond the protocol's own routes, by the names that Triton gave.
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")
SERVER = "septet"


def model_metadata(service: Service) -> dict[str, Any]:
    """Describe the model's inputs and outputs."""
    identity, signature = service.identity, service.signature
    return {
        "name": identity.name,
        "versions": [identity.version],
        "platform": platform(service),
        "inputs": _metadata(signature.inputs),
        "outputs": _metadata(signature.outputs),
    }


def model_config(service: Service, limits: Limits) -> dict[str, Any]:
    """Describe the model as Triton's configurations do.

    Where it has rows, `max_batch_size` is the most that one request may have, and `dims` leave the row out.
    """
    identity, signature = service.identity, service.signature
    merged = service.batch_rows > 1
    return {
        "name": identity.name,
        "platform": platform(service),
        "backend": service.manifest.runtime,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": limits.max_rows if signature.rows else 0,
        "input": _config(signature.inputs, rows=signature.rows),
        "output": _config(signature.outputs, rows=signature.rows),
        "default_model_filename": PurePosixPath(service.manifest.artefact).name,
        # What waits is run together; nothing ever waits for more.
        **({"dynamic_batching": {"max_queue_delay_microseconds": 0}} if merged else {}),
    }


def index_entry(service: Service) -> dict[str, str]:
    """The model's entry in the index of models."""
    return {"name": service.identity.name, "version": service.identity.version, "state": "READY", "reason": ""}


def missing_entry(name: str, reason: str) -> dict[str, str]:
    """The entry of a model that could not be loaded."""
    return {"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason}


def platform(service: Service) -> str:
    """The engine and the format of the model's file, such as `onnx_onnxv1` or `sklearn_skops`."""
    runtime, suffix = service.manifest.runtime, PurePosixPath(service.manifest.artefact).suffix.lstrip(".")
    return f"{runtime}_{'onnxv1' if suffix == 'onnx' else suffix or runtime}"


def _metadata(tensors: Sequence[Tensor]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "datatype": DATATYPES[each.dtype], "shape": list(protocol_shape(each))} for each in tensors
    ]


def _config(tensors: Sequence[Tensor], *, rows: bool) -> list[dict[str, Any]]:
    found = []
    for each in tensors:
        datatype = DATATYPES[each.dtype]
        kind = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
        found.append({"name": each.name, "data_type": kind, "dims": list(protocol_shape(each))[1 if rows else 0 :]})
    return found
