"""What a client asks of a server and what it hears, whichever way it travels.

A `Dialect` turns a question into an `Ask` and a `Reply` into its answer; a wire carries the one and brings the other.
The answer of `Ready` is a bool, of `Describe` the description as `/metadata` has it, of `Infer` an `Answered`.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec

from septet.errors import SeptetError
from septet.types import Tensors


class Ready(msgspec.Struct, frozen=True):
    """Does the server take requests?"""


class Describe(msgspec.Struct, frozen=True):
    """Which model is it, and what does it take and give?"""


class Infer(msgspec.Struct, frozen=True):
    """What does the model answer? `outputs` are the wanted ones, or None for all."""

    model: str
    tensors: Tensors
    outputs: tuple[str, ...] | None


Question: TypeAlias = Ready | Describe | Infer


class Answered(msgspec.Struct, frozen=True):
    """The outputs, by name, and the digest of the model that gave them where the server says it."""

    tensors: Tensors
    digest: str | None


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer.

    Attributes:
        error: for the caller.
        again: whether to ask again is safe and may help: nothing was computed for this question.
        after: seconds that the server wants to be left alone first.
    """

    error: SeptetError
    again: bool = False
    after: float = 0.0


class Ask(msgspec.Struct, frozen=True):
    """A question as a wire carries it. `method` is HTTP's; `path` begins with a slash."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """What came back. Header names are lower case; `status` is HTTP's, or gRPC's."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Dialect(Protocol):
    """A protocol, seen from the client."""

    def ask(self, question: Question, seconds: float) -> Ask:
        """Write a question that is to be answered within so many seconds."""

    def read(self, question: Question, reply: Reply) -> Any | Failure:
        """Read the answer to a question."""


class Wire(Protocol):
    """A way to a server for threads."""

    def send(self, ask: Ask, seconds: float) -> Reply | Failure:
        """Carry a question and wait for the reply, for so many seconds at most."""

    def close(self) -> None:
        """Let go of every connection."""


class AsyncWire(Protocol):
    """A way to a server for coroutines."""

    async def send(self, ask: Ask, seconds: float) -> Reply | Failure:
        """Carry a question and wait for the reply, for so many seconds at most."""

    async def close(self) -> None:
        """Let go of every connection."""
