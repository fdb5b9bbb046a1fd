"""`{"b64": "..."}` in JSON: how TensorFlow's and MLflow's callers write bytes, and a text as bytes.

Of a text the bytes must be UTF-8. Both alphabets are read, with or without padding.
"""

import binascii
from typing import Any

from septet.model.base64_text import from_base64, to_base64
from septet.model.signature import Signature
from septet.model.values import Mismatch

KEY = "b64"
_STANDARD = str.maketrans("-_", "+/")
# Around a tensor: the list of rows and the object of its names.
_AROUND = 2


class Base64Objects:
    """Replaces these objects in what a JSON parser made, for one signature."""

    def __init__(self, signature: Signature) -> None:
        names = [*(tensor.name for tensor in signature.inputs), *(column.name for column in signature.columns)]
        dtypes = {tensor.dtype for tensor in signature.inputs}
        deepest = max(len(tensor.shape) for tensor in signature.inputs) + _AROUND
        # A model may have a column of just that name; deeper than a tensor goes, nothing can be right.
        self._depth = deepest if dtypes & {"string", "bytes"} and KEY not in names else 0
        self._texts_alone = "bytes" not in dtypes

    def read(self, value: Any) -> Any:
        """The value with bytes in place of the objects; texts, where the model takes no bytes.

        Raises:
            Mismatch: one is not base64, or not UTF-8 where it must be a text.
        """
        return self._read(value, self._depth)

    def _read(self, value: Any, depth: int) -> Any:
        if depth == 0:
            return value
        if isinstance(value, list):
            return [self._read(each, depth - 1) for each in value]
        if not isinstance(value, dict):
            return value
        if list(value) != [KEY]:
            return {name: self._read(each, depth - 1) for name, each in value.items()}
        data = _decoded(value[KEY])
        return utf8_text(data) if self._texts_alone else data


def utf8_text(data: bytes) -> str:
    """Bytes that stand for a text.

    Raises:
        Mismatch: they are not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Mismatch("base64 of UTF-8 in 'b64'") from None


def base64_objects(values: Any) -> Any:
    """Nested lists of bytes as lists of such objects; None stays as it is."""
    if isinstance(values, list):
        return [base64_objects(each) for each in values]
    return None if values is None else {KEY: to_base64(values)}


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise Mismatch("a text of base64 in 'b64'")
    bare = value.translate(_STANDARD).rstrip("=")
    try:
        return from_base64(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        raise Mismatch("base64 of UTF-8 in 'b64'") from None
