"""Puts what onnxruntime raises into words: why a file does not load, and which failures the caller's values caused."""

import re
from pathlib import Path

from septet.errors import DamagedModel, StartupError, UnsupportedModel

_STATUS = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_NODE = re.compile(r"^Non-zero status code returned while running (\w+) node\. Name:'[^']*' Status Message: ")
_LOADING = re.compile(r"^Load model from .*? failed: ?")
_SOURCE = re.compile(r"\S*/onnxruntime_src/\S+:\d+ .*?\) (?=\S)")
_OPSET = re.compile(r"Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)", re.DOTALL)
_IR = re.compile(r"IR version: (\d+), max supported IR version: (\d+)")
_OPERATOR = re.compile(r"Fatal error: ([\w.]*):(\w+)\(|No Op registered for (\w+)|No opset import for domain '([^']*)'")
_COMPLEX = re.compile(r"tensor\((complex\w+)\) is not currently registered")
_LOCALE = re.compile(r"locale with name:([\w.@-]+?):")
# Failures of the engine other than "invalid argument" that only the values can cause.
_VALUE_FAULTS = (
    *("Unknown Category", "Status Message: stod", "Status Message: stof", "Status Message: stoi"),
    # As many values as no machine holds, or fewer than none. A model that lacks memory for its sample, too, is broken.
    *("Failed to allocate memory for requested buffer", "Tensor shape.Size() must be >= 0"),
    "Calculation for Tensor storage size overflowed",
)


def explained(exc: Exception, path: Path) -> StartupError:
    """Return the error to raise instead of the engine's when a file does not load."""
    text = str(exc)
    if match := _OPSET.search(text):
        opset, domain, supported = match.groups()
        return _too_new(path, f"opset {opset} of {domain}", f"opset {supported}", f"target_opset={supported}")
    if match := _IR.search(text):
        version, supported = match.groups()
        return _too_new(path, f"IR version {version}", f"IR version {supported}", "an older target_opset")
    if match := _OPERATOR.search(text):
        domain, operator, unregistered, undeclared = match.groups()
        name = f"{domain}:{operator}" if operator else unregistered or f"the domain {undeclared}"
        return UnsupportedModel(
            f"{path}: it needs the operator {name}, which onnxruntime does not have. Export the model with operators "
            f"of ai.onnx and ai.onnx.ml only."
        )
    if reason := _lacking(text):
        return UnsupportedModel(f"{path}: {reason}")
    reason = _cleaned(text)
    if type(exc).__name__ in {"NotImplemented", "InvalidGraph"}:
        return UnsupportedModel(f"{path}: onnxruntime cannot run its graph: {reason}")
    return DamagedModel(f"{path}: onnxruntime cannot read it: {reason}")


def _lacking(text: str) -> str | None:
    """What the engine, or this machine, does not have for a sound model."""
    if match := _COMPLEX.search(text):
        return f"it holds {match[1]} tensors, which onnxruntime does not compute"
    if match := _LOCALE.search(text):
        name = match[1]
        return (
            f"it changes texts by the rules of the locale {name}, which this machine does not have. Install it (on "
            f"Debian: the package locales, then `localedef -i {name.partition('.')[0]} -f UTF-8 {name}`)."
        )
    return None


def _too_new(path: Path, has: str, supported: str, remedy: str) -> UnsupportedModel:
    import onnxruntime

    return UnsupportedModel(
        f"{path}: the model has {has}, and onnxruntime {onnxruntime.__version__} supports up to {supported}. Export it "
        f"again with {remedy}, or upgrade onnxruntime."
    )


def rejection(exc: Exception) -> str | None:
    """The engine's reason, fit for a caller, where the values of a request made it fail; else None."""
    if isinstance(exc, UnicodeEncodeError):
        return "a string is not valid Unicode: it holds a lone surrogate"
    text = str(exc)
    if type(exc).__name__ == "InvalidArgument" or any(fault in text for fault in _VALUE_FAULTS):
        return _cleaned(text)
    return None


def _cleaned(text: str) -> str:
    """The first line, without status codes, source files of the engine, and C++ signatures."""
    line = _NODE.sub(r"\1: ", _LOADING.sub("", _STATUS.sub("", text.strip())))
    line = _SOURCE.sub("", line).splitlines()[0]
    return _STATUS.sub("", line.strip()).strip() or "no reason given"
