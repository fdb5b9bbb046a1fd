"""Every target by name. Each makes its check when it is asked to, so that none imports what it does not need."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from fuzzing.promise import Check, timed

#: Module and function of each.
TARGETS: Mapping[str, tuple[str, str]] = {
    "json": ("bodies", "native"),
    "csv": ("bodies", "csv_cells"),
    "npy": ("bodies", "npy"),
    "v1": ("bodies", "v1"),
    "invocations": ("bodies", "invocations"),
    "invocations_csv": ("bodies", "invocations_csv"),
    "v2": ("bodies", "v2"),
    "v2_binary": ("bodies", "v2_binary"),
    "grpc": ("bodies", "grpc_messages"),
    "encodings": ("bodies", "encodings"),
    "http1": ("transports", "http1"),
    "http2": ("transports", "http2"),
    "hpack": ("transports", "header_blocks"),
    "onnx": ("files", "onnx"),
    "packages": ("files", "packages"),
    "skops": ("files", "skops"),
    "releases": ("files", "release_orders"),
    "tables": ("files", "tables"),
}


def check_of(name: str) -> Check:
    """The check of a target, with the time of each input. It runs the event loop that is set, which may not be running.

    Raises:
        KeyError: there is no such target.
    """
    module, function = TARGETS[name]
    make = cast("Callable[[], Check]", getattr(import_module(f"fuzzing.{module}"), function))
    return timed(make())
