"""The manifest as the text of `septet.toml`, which people read and edit.

TOML has no null. A free dimension is written as -1; what is None elsewhere is left out, and None among the training
parameters is written as the text "None".
"""

import datetime as dt
import re
from typing import Any, Final

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.manifest import Manifest
from septet.model.signature import Signature, Tensor
from septet.settings import NAME_PATTERN, VERSION_PATTERN

FORMAT: Final = 1
_HEADER: Final = "# A Septet package: `septet inspect` prints it, `septet check` proves it.\n\n"
_FREE: Final = -1
# An array of whole numbers over several lines. Strings never span lines here, so it cannot match inside one.
_NUMBERS: Final = re.compile(r"(?<= = )\[\n(?: +-?\d+,\n)+\]$", re.MULTILINE)


def manifest_to_toml(manifest: Manifest) -> str:
    """Return the text of `septet.toml`.

    Raises:
        PackageInvalid: a value cannot be written as TOML.
    """
    import tomli_w

    signature = _with_shapes(manifest.signature, None, _FREE)
    training = msgspec.structs.replace(manifest.training, parameters=_plain(manifest.training.parameters))
    written = msgspec.structs.replace(manifest, signature=signature, training=training)
    try:
        values: dict[str, Any] = msgspec.to_builtins(written, builtin_types=(dt.datetime, dt.date), enc_hook=_plain)
        text = _HEADER + _NUMBERS.sub(_on_one_line, tomli_w.dumps({"format": manifest.format} | values))
        text.encode()
    except (TypeError, ValueError) as exc:
        raise PackageInvalid(f"the manifest of '{manifest.name}' cannot be written as TOML: {exc}") from exc
    return text


def manifest_from_toml(data: bytes, source: str) -> Manifest:
    """Read the bytes of `septet.toml`; `source` is where they come from, for messages.

    Raises:
        PackageInvalid: they are not TOML, of a newer format, a key is unknown, missing or of the wrong
            type, or the name or version is none that a header can carry.
    """
    import tomllib

    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise PackageInvalid(f"{source}: is not readable as TOML: {exc}") from exc
    number = values.get("format", FORMAT)
    if isinstance(number, int) and number > FORMAT:
        raise PackageInvalid(
            f"{source}: is of format {number}, and this Septet reads formats up to {FORMAT}; "
            "upgrade Septet, or pack the model again"
        )
    try:
        manifest = msgspec.convert(values, Manifest)
    except msgspec.ValidationError as exc:
        raise PackageInvalid(f"{source}: {exc}".replace("`$.", "`")) from exc
    _check_identity(manifest, source)
    return msgspec.structs.replace(manifest, signature=_with_shapes(manifest.signature, _FREE, None))


def _check_identity(manifest: Manifest, source: str) -> None:
    """Refuse a name or a version that headers, paths and metrics cannot have."""
    for key, given, pattern, more in (
        ("name", manifest.name, NAME_PATTERN, ""),
        ("version", manifest.version, VERSION_PATTERN, ", '+'"),
    ):
        if not re.fullmatch(pattern, given):
            raise PackageInvalid(
                f"{source}: {key} is {given!r}; write 1 to 128 letters, digits and '.', '-', '_'{more}, a letter or a "
                "digit first"
            )


def _on_one_line(found: re.Match[str]) -> str:
    return f"[{', '.join(re.findall(r'-?[0-9]+', found[0]))}]"


def _with_shapes(signature: Signature, free: int | None, replacement: int | None) -> Signature:
    def replaced(tensor: Tensor) -> Tensor:
        shape = tuple(replacement if size == free else size for size in tensor.shape)
        return msgspec.structs.replace(tensor, shape=shape)

    return msgspec.structs.replace(
        signature, inputs=tuple(map(replaced, signature.inputs)), outputs=tuple(map(replaced, signature.outputs))
    )


def _plain(value: Any) -> Any:
    """Return a parameter as TOML can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
