"""`{"b64": "..."}` in JSON: how TensorFlow's and MLflow's callers write a text as bytes.

Models take texts, so the bytes must be UTF-8. Both alphabets are read, with or without padding.
"""

import base64
import binascii
from typing import Any

from septet.model.signature import Signature
from septet.model.values import Mismatch

KEY = "b64"
_STANDARD = str.maketrans("-_", "+/")
# Around a tensor: the list of rows and the object of its names.
_AROUND = 2


class Base64Texts:
    """Replaces the binary values in what a JSON parser made, for one signature."""

    def __init__(self, signature: Signature) -> None:
        names = [*(tensor.name for tensor in signature.inputs), *(column.name for column in signature.columns)]
        texts = any(tensor.dtype == "string" for tensor in signature.inputs)
        deepest = max(len(tensor.shape) for tensor in signature.inputs) + _AROUND
        # A model may have a column of just that name; deeper than a tensor goes, nothing can be right.
        self._depth = deepest if texts and KEY not in names else 0

    def read(self, value: Any) -> Any:
        """The value with texts in place of its binary values.

        Raises:
            Mismatch: one is not base64, or not UTF-8.
        """
        return _read(value, self._depth)


def _read(value: Any, depth: int) -> Any:
    if depth == 0:
        return value
    if isinstance(value, list):
        return [_read(each, depth - 1) for each in value]
    if not isinstance(value, dict):
        return value
    if list(value) != [KEY]:
        return {name: _read(each, depth - 1) for name, each in value.items()}
    return _text(value[KEY])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Mismatch("a text of base64 in 'b64'")
    bare = value.translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Mismatch("base64 of UTF-8 in 'b64'") from None
