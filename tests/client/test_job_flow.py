"""A job from its submission to its answer, on a transport without a network."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.client.job_flow import JobFlow
from septet.errors import ModelFailed, SeptetError, Unavailable
from septet.protocols.native.metadata import metadata
from septet.remote.remote_calls import CallFailure, WireReply, WireRequest
from septet.remote.remote_errors import broken, job_failure
from tests.client.test_call_flow import ANOTHER, ROW, Caller, FakeServer, error, kind, paths
from tests.protocols import models

__all__ = ("kind",)
INFER = "/v2/models/iris/infer"
JOB = {"job_id": "1" * 32, "state": "succeeded", "path": INFER, "model": {"name": "iris"}}
LOST = broken("http://host", "reset")


def described(server: FakeServer) -> WireReply:
    """What a server says of its model."""
    said = {**metadata(server.service, limits=models.LIMITS), "digest": server.digest}
    return WireReply(200, {}, msgspec.json.encode(said))


class JobServer(FakeServer):
    """Accepts jobs, all of them under one id, and has their answers."""

    def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        if request.path == "/models/iris/metadata":
            self.seen.append(request)
            return described(self)
        reply = super().send(request, seconds)
        if isinstance(reply, CallFailure) or reply.status != 200:
            return reply
        if "prefer" in request.headers:
            return WireReply(202, {}, json.dumps({**JOB, "state": "queued"}).encode())
        return reply

    def answer(self, request: WireRequest) -> bytes:
        """The answer, of all outputs."""
        if request.path.endswith("/answer"):
            request = WireRequest("POST", INFER, body=b'{"outputs": []}')
        return super().answer(request)


class JobCaller(Caller):
    """Submits, and reads answers."""

    def __init__(self, server: FakeServer, kind: str) -> None:
        super().__init__(server, kind)
        self.jobs = JobFlow(self.flow)

    def submit(self, retries: int = 3, **options: Any) -> Any:
        return self._run(self.jobs.submit(ROW, options), retries)

    def answer(self, submitted: Any = None) -> Any:
        return self._run(self.jobs.answer(JOB, submitted), 3)


def test_a_submission_whose_answer_is_lost_is_sent_again_as_it_was(kind: str) -> None:
    server = JobServer()
    caller = JobCaller(server, kind)
    caller.metadata()
    server.first = [LOST, error("overloaded"), LOST]
    assert caller.submit().id == JOB["job_id"]
    first, *others = server.seen[1:]
    assert len(others) == 3
    assert all((each.path, each.headers, each.body) == (INFER, first.headers, first.body) for each in others)
    assert len(first.headers["idempotency-key"]) == 32
    # What bounds a call does not bound the run of a job.
    assert json.loads(first.body)["parameters"] == {}
    caller.submit()
    assert server.seen[-1].headers["idempotency-key"] != first.headers["idempotency-key"]


def test_a_prediction_whose_answer_is_lost_is_not_sent_again(kind: str) -> None:
    server = JobServer()
    caller = JobCaller(server, kind)
    caller.metadata()
    server.first = [LOST]
    with pytest.raises(Unavailable, match="broke"):
        caller.predict(ROW)
    assert paths(server) == ["/metadata", INFER]


def test_options_are_sent_as_headers(kind: str) -> None:
    server = JobServer()
    JobCaller(server, kind).submit(
        idempotency_key="order-7", key="k", priority=-3, delay=1.5, begin_within=60.0, attempts=2, sink="s", digest=None
    )
    sent = {name: value for name, value in server.seen[-1].headers.items() if name.startswith(("septet-job", "idem"))}
    assert sent == {
        "idempotency-key": "order-7",
        "septet-job-key": "k",
        "septet-job-priority": "-3",
        "septet-job-delay": "1.5",
        "septet-job-begin-within": "60",
        "septet-job-attempts": "2",
        "septet-job-sink": "s",
    }


def test_where_the_server_has_another_model_by_now_the_data_is_submitted_for_that(kind: str) -> None:
    server = JobServer()
    caller = JobCaller(server, kind)
    caller.metadata()
    server.first = [error("invalid")]
    assert caller.submit().id == JOB["job_id"]
    assert paths(server) == ["/metadata", INFER, "/metadata", INFER]
    server.first = [error("invalid"), described(server), error("invalid")]
    with pytest.raises(SeptetError, match="No"):
        caller.submit()


def test_an_answer_of_another_version_is_shown_as_that_one_has_it(kind: str) -> None:
    server = JobServer()
    caller = JobCaller(server, kind)
    submitted = caller.submit()
    server.digest = ANOTHER
    expected = np.array([[0.9, 0.07, 0.03]], np.float32)
    np.testing.assert_array_equal(caller.answer(submitted), expected)
    assert paths(server)[-2:] == [f"/job/{JOB['job_id']}/answer", "/models/iris/metadata"]
    np.testing.assert_array_equal(caller.answer(), expected)


def test_a_job_that_failed_raises_what_its_request_would_have_raised() -> None:
    failed = {**JOB, "state": "failed", "error": {"code": "model_failed", "message": "No."}, "id": "r-1"}
    assert isinstance(job_failure(failed), ModelFailed)
    assert job_failure(failed).request_id == "r-1"
    lost = {**failed, "error": {"code": "worker_lost", "message": "It ended."}, "answer": {"body": "?"}}
    assert type(job_failure(lost)) is SeptetError
    assert job_failure(lost).message == "It ended."
