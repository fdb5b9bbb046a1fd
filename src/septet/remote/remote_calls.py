"""What is asked of a server and what comes back, whichever protocol carries it.

A `ProtocolCodec` writes a call as a `WireRequest` and reads a `WireReply` as the call's result; a transport carries the
one and brings the other. A codec knows no sockets, a transport no protocol.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from septet.errors import SeptetError, Unavailable
from septet.types import Identity, Tensors


class ReadyCall(msgspec.Struct, frozen=True):
    """Whether the server takes requests. The result is a bool."""


class MetadataCall(msgspec.Struct, frozen=True):
    """Septet's own description of a model, None for the only one. The result is a dictionary as `/metadata` has it."""

    model: str | None = None


class TensorMetadataCall(msgspec.Struct, frozen=True):
    """The Open Inference Protocol's description of a model.

    The result is a dictionary: `name`, `versions`, `inputs` and `outputs`, each with `name`, `datatype` and `shape`.
    """

    model: str


class ServerMetadataCall(msgspec.Struct, frozen=True):
    """The Open Inference Protocol's description of the server. The result is a dictionary with `extensions`."""


class ModelIndexCall(msgspec.Struct, frozen=True):
    """Which models the server has. The result is a list of names."""


class InferCall(msgspec.Struct, frozen=True):
    """What the model answers. The result is an `InferResult`.

    Attributes:
        model: its name on that server.
        tensors: by input name, as the protocol has them: moments as texts.
        outputs: the wanted ones, or None for all.
        id: of the request, or None.
        trace: the W3C `traceparent` that is sent on, or None.
        byte_outputs: those outputs whose BYTES are bytes; of all others they are texts.
    """

    model: str
    tensors: Tensors
    outputs: tuple[str, ...] | None
    id: str | None = None
    trace: str | None = None
    byte_outputs: frozenset[str] = frozenset()


class SubmitCall(msgspec.Struct, frozen=True):
    """What the model is to answer later. The result is the ticket, a dictionary with `job_id`.

    Attributes:
        infer: what is asked.
        headers: how the job is to be done; with an `idempotency-key`, since the call may be sent twice.
    """

    infer: InferCall
    headers: Mapping[str, str]


class JobCall(msgspec.Struct, frozen=True):
    """What is known of a job, after so many seconds where it does not end before. The result is a dictionary."""

    id: str
    wait: float = 0.0


class CancelJobCall(msgspec.Struct, frozen=True):
    """Ends a job. The result is a dictionary, as of `JobCall`."""

    id: str


class JobAnswerCall(msgspec.Struct, frozen=True):
    """The answer of a job that has one.

    The result is an `InferResult`, with the outputs that `infer` wants; without one the document that was answered.
    """

    id: str
    infer: InferCall | None


RemoteCall: TypeAlias = (
    ReadyCall
    | MetadataCall
    | TensorMetadataCall
    | ServerMetadataCall
    | ModelIndexCall
    | InferCall
    | SubmitCall
    | JobCall
    | CancelJobCall
    | JobAnswerCall
)
#: Of jobs, which not every protocol has.
JOB_CALLS: Final = (SubmitCall, JobCall, CancelJobCall, JobAnswerCall)


class InferResult(msgspec.Struct, frozen=True):
    """The outputs by name, some of them read-only arrays.

    Attributes:
        tensors: the outputs.
        model: who answered; what the server does not say is empty.
        flags: what the server's header `septet-flags` says of the answer.
    """

    tensors: Tensors
    model: Identity
    flags: tuple[str, ...] = ()


class CallFailure(msgspec.Struct, frozen=True):
    """Why there is no result.

    Attributes:
        error: for the caller.
        retryable: whether the call may be sent again and that may help: nothing was computed for it.
        after: seconds that the server wants to be left alone first.
        at_once: whether there is no reason to pause before that.
    """

    error: SeptetError
    retryable: bool = False
    after: float = 0.0
    at_once: bool = False


class WireRequest(msgspec.Struct, frozen=True):
    """A call as a transport carries it.

    `method` is HTTP's; `path` begins with a slash. A request that is `repeatable` may be sent again whatever became of
    it before.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    repeatable: bool = False


class WireReply(msgspec.Struct, frozen=True):
    """What came back. Header names are lower case; `status` is HTTP's, or gRPC's."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def carried(request: WireRequest, outcome: WireReply | CallFailure) -> WireReply | CallFailure:
    """What a transport brought back; a request that is repeatable may be sent again where its connection broke."""
    if request.repeatable and isinstance(outcome, CallFailure) and isinstance(outcome.error, Unavailable):
        return msgspec.structs.replace(outcome, retryable=True)
    return outcome


class ProtocolCodec(Protocol):
    """A protocol, seen from the calling side."""

    def write(self, call: RemoteCall, seconds: float) -> WireRequest:
        """Write a call whose result is waited for for so many seconds."""

    def read(self, call: RemoteCall, reply: WireReply) -> Any | CallFailure:
        """Read the result of a call."""


class ThreadTransport(Protocol):
    """A way to a server for threads."""

    def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Send a request and wait for the reply, for so many seconds at most."""

    def close(self) -> None:
        """Close every connection."""


class AsyncTransport(Protocol):
    """A way to a server for coroutines."""

    async def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Send a request and wait for the reply, for so many seconds at most; a cancelled one closes its connection."""

    async def close(self) -> None:
        """Close every connection."""
