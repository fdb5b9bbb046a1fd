"""The calls by which a job is submitted, followed and read, for threads and coroutines alike."""

from collections.abc import Callable, Generator, Mapping
from secrets import token_hex
from time import monotonic
from typing import Any, Final, TypedDict

import msgspec

from septet.client.call_flow import AdaptedModel, CallFlow, Steps, adapted, writable
from septet.client.input_adapter import InputKind, ModelInputs
from septet.errors import DeadlineExceeded, Invalid, Malformed, NotFound
from septet.protocols.http import job_headers
from septet.remote.remote_calls import (
    CancelJobCall,
    InferCall,
    InferResult,
    JobAnswerCall,
    JobCall,
    MetadataCall,
    RemoteCall,
    SubmitCall,
)

#: The states that a job does not leave.
ENDED: Final = ("succeeded", "failed", "expired", "cancelled")
#: For how many seconds one request waits for the end of a job, and how long the client pauses where it came back early.
LONGEST_POLL, EARLY_PAUSE = 25.0, 1.0
_HEADERS: Final = {
    "idempotency_key": job_headers.IDEMPOTENCY_KEY,
    "key": job_headers.KEY,
    "priority": job_headers.PRIORITY,
    "delay": job_headers.DELAY,
    "begin_within": job_headers.BEGIN_WITHIN,
    "attempts": job_headers.ATTEMPTS,
    "max_age": job_headers.MAX_AGE,
    "digest": job_headers.DIGEST,
    "sink": job_headers.SINK,
}
_NOTHING: Final = ModelInputs({}, InputKind.ARRAY)


class JobOptions(TypedDict, total=False):
    """How a job is to be done; what is not given is as the server has it. See docs/jobs.md.

    Attributes:
        idempotency_key: the same key and the same data are the same job; a random one where none is given.
        key: jobs of one key run one after the other, in their order.
        priority: from -9 to 9; higher ones run earlier.
        delay: seconds before it may begin.
        begin_within: seconds after that in which it must have begun.
        attempts: how often it may be begun.
        max_age: seconds after its first begin from which a failed attempt is its last.
        digest: of the only model that may answer.
        sink: where the answer is to be brought to.
    """

    idempotency_key: str
    key: str
    priority: int
    delay: float
    begin_within: float
    attempts: int
    max_age: float
    digest: str
    sink: str


class SubmittedRequest(msgspec.Struct, frozen=True):
    """A job with what its answer is shown by: the call without its tensors, the model and the kind of the data."""

    id: str
    infer: InferCall
    model: AdaptedModel
    given: ModelInputs


class JobFlow:
    """The calls of one client about jobs; `calls` know its model."""

    def __init__(self, calls: CallFlow) -> None:
        self._calls = calls

    def submit(self, data: Any, options: Mapping[str, Any]) -> Generator[RemoteCall, Any, SubmittedRequest]:
        """Submit data, once more where the server has another model than the one that it was made for.

        Raises:
            TypeError: there is no such option.
        """
        headers = {"idempotency-key": token_hex(16), **_headers(options)}
        model = self._calls.model
        while True:
            known, model = model is not None, model or (yield from self._calls.read_model())
            try:
                given = model.inputs(data)
                outputs, name = model.outputs.predicted(given.kind), model.remote.identity.name
                infer = InferCall(name, given.tensors, outputs, byte_outputs=model.inputs.byte_outputs)
                ticket = yield SubmitCall(infer, headers)
            except (Invalid, Malformed, NotFound):
                if not known:
                    raise
                model = None
            else:
                # The tensors are the server's now.
                infer, given = msgspec.structs.replace(infer, tensors={}), msgspec.structs.replace(given, tensors={})
                return SubmittedRequest(ticket["job_id"], infer, model, given)

    def read(self, identifier: str, wait: float) -> Steps:
        """The job, once it has ended or after so many seconds."""
        return (yield JobCall(identifier, wait))

    def cancel(self, identifier: str) -> Steps:
        """The job, which is to end."""
        return (yield CancelJobCall(identifier))

    def answer(self, job: Mapping[str, Any], submitted: SubmittedRequest | None) -> Steps:
        """The answer of a job that succeeded, in kind; as an array where it is not known what was given."""
        if not str(job["path"]).endswith("/infer"):
            document = yield JobAnswerCall(job["job_id"], None)
            return document.get("prediction", document)
        name = job["model"]["name"]
        if submitted is None:
            model = self._calls.model
            if model is None or model.remote.identity.name != name:
                model = adapted((yield MetadataCall(name)))
            infer = InferCall(
                name, {}, model.outputs.predicted(InputKind.ARRAY), byte_outputs=model.inputs.byte_outputs
            )
            given = _NOTHING
        else:
            model, infer, given = submitted.model, submitted.infer, submitted.given
        result: InferResult = yield JobAnswerCall(job["job_id"], infer)
        if result.model.digest not in ("", model.remote.identity.digest):
            # Another version answered; its outputs have the same names, or the release was refused.
            model = adapted((yield MetadataCall(name)))
        return model.outputs.prediction(given, writable(result.tensors))


class JobWait:
    """How long the end of a job is waited for: `timeout` seconds, or for ever."""

    def __init__(self, timeout: float | None, clock: Callable[[], float] = monotonic) -> None:
        self._timeout = timeout
        self._clock = clock
        self._end = None if timeout is None else clock() + timeout
        self._back = 0.0

    def seconds(self) -> float:
        """For how long the next request is to wait."""
        now = self._clock()
        seconds = LONGEST_POLL if self._end is None else min(LONGEST_POLL, max(0.0, self._end - now))
        self._back = now + seconds
        return seconds

    def pause(self, job: Mapping[str, Any]) -> float:
        """Seconds before the next request, after one that found a job that has not ended.

        Raises:
            DeadlineExceeded: the time is over.
        """
        now = self._clock()
        if self._end is not None and now >= self._end:
            text = f"The job {job['job_id']} had not ended within {self._timeout:g} seconds: it is {job['state']}."
            waits = job.get("waiting_for")
            raise DeadlineExceeded(text if waits is None else f"{text[:-1]}, and waits for {waits}.")
        # A server that stops answers with what it knows, and is not to be asked again and again.
        return EARLY_PAUSE if now < self._back - EARLY_PAUSE else 0.0


def _headers(options: Mapping[str, Any]) -> dict[str, str]:
    unknown = sorted(options.keys() - _HEADERS.keys())
    if unknown:
        raise TypeError(f"A job has no option {unknown[0]!r}; there are {', '.join(_HEADERS)}.")
    return {_HEADERS[name].decode(): _text(value) for name, value in options.items() if value is not None}


def _text(value: object) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
