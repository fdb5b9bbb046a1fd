"""Inference requests that were read before, known by all of their bytes but the values.

A client sends the same document again and again, with other numbers in it. To read and check it takes several times as
long as to read the numbers, and the same bytes always mean the same. So what was found of a document is kept under the
bytes before its only list of numbers, and holds for a body that begins with these, ends with the same bytes, and has
any list of as many numbers between them; or, where the numbers lie behind the document, under the document itself.

Only documents of one input of numbers are kept, and none with an id of its own: it would not come again.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from septet.model.signature import DTYPES, Signature
from septet.protocols.openinference.datatypes import WORTH_A_VIEW, aligned
from septet.protocols.packed import Packed
from septet.protocols.routes import Encode
from septet.types import Tensors

MOST_PLANS: Final = 512
#: Longer documents are rare, and would make the memory of all of them large.
MOST_BYTES: Final = 2048
_DATA: Final = b'"data"'


class Plan(msgspec.Struct, frozen=True):
    """What a document says but for its values.

    Attributes:
        shape: of the input.
        size: its numbers, or its bytes where they lie behind the document.
        rows, outputs, seconds: as `Dataplane.request` takes them.
        encode: how the answer is written.
        lead, rest: what stands before and behind the numbers, where they are in the document.
    """

    shape: tuple[int, ...]
    size: int
    rows: int
    outputs: tuple[str, ...] | None
    seconds: float | None
    encode: Encode
    lead: bytes = b""
    rest: bytes = b""


class Plans:
    """The plans for a model with a single input of numbers, emptied when full: what is still in use comes again.

    `numbers` reads a flat JSON list of the input's numbers, checked.
    """

    def __init__(self, signature: Signature, numbers: Callable[[bytes], list[Any]]) -> None:
        (tensor,) = signature.inputs
        self._name, self._dtype = tensor.name, tensor.dtype
        self._packed = Packed(tensor)
        self._numbers = numbers
        self._json: dict[bytes, Plan] = {}
        self._binary: dict[bytes, Plan] = {}
        self._last: Plan | None = None
        # A byte that is neither 0 nor 1 is no boolean, and must be looked for.
        self._takes_bytes = tensor.dtype != "bool" and sys.byteorder == "little"

    def json(self, body: bytes) -> tuple[Plan, Tensors] | None:
        """The plan of a body and its tensors, where it is known and nothing is wrong."""
        plan = self._last
        if plan is None or not body.startswith(plan.lead) or not body.endswith(plan.rest):
            plan = self._json.get(body[: body.find(b"[", body.find(_DATA))])
            if plan is None or not body.endswith(plan.rest):
                return None
            # Mostly the same comes again, which is told sooner than it is looked up.
            self._last = plan
        try:
            numbers = self._numbers(body[len(plan.lead) : len(body) - len(plan.rest)])
            return (plan, self._packed.numbers(numbers)) if len(numbers) == plan.size else None
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
            return None

    def binary(self, body: bytes, length: int) -> tuple[Plan, Tensors] | None:
        """The same for a body whose numbers lie behind its document, the first `length` bytes."""
        plan = self._binary.get(body[:length])
        if plan is None or len(body) - length != plan.size:
            return None
        if plan.size < WORTH_A_VIEW:
            return plan, self._packed.data(body[length:])
        return plan, {self._name: aligned(np.frombuffer(body, DTYPES[self._dtype], -1, length)).reshape(plan.shape)}

    def keep_json(self, body: bytes, data: memoryview, plan: Plan) -> None:
        """Know a body by what stands around `data`, its list of numbers."""
        start = body.find(b"[", body.find(_DATA))
        end = start + len(data)
        # In a nested list, numbers are read another way.
        if start < 0 or len(body) - len(data) > MOST_BYTES or body.find(b"[", start + 1, end) > 0:
            return
        # Where the key stands once, and nothing is written with a backslash, these are the numbers and no others.
        if body[start:end] == data and body.count(_DATA) == 1 and b"\\" not in body:
            lead = body[:start]
            _keep(self._json, lead, msgspec.structs.replace(plan, lead=lead, rest=body[end:]))

    def keep_binary(self, document: bytes, plan: Plan) -> None:
        """Know a document whose numbers lie behind it."""
        if self._takes_bytes and len(document) <= MOST_BYTES:
            _keep(self._binary, document, plan)


def _keep(plans: dict[bytes, Plan], key: bytes, plan: Plan) -> None:
    if len(plans) >= MOST_PLANS:
        plans.clear()
    plans[key] = plan
