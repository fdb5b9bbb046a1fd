"""A request is accepted, answered later, and asked for, within one process."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import septet
from septet import testing
from septet.assembly import job_serving
from septet.errors import ModelFailed, SettingsInvalid
from septet.jobs import delivery_run, job_consumer
from septet.jobs.delivery_run import MOST_TO_ONE
from septet.protocols.http.http_messages import HttpReply
from septet.queues.job import Job, JobState
from septet.queues.job_store import JobFilter, StoreLimits
from septet.settings import Jobs
from septet.testing import FailingPredictor
from septet.types import Identity
from tests.jobs.in_process import JobServer
from tests.sinks.hooks import Hook, all_called, hook, status
from tests.sinks.samples import SECRET
from tests.waiting import until

BODY = b'{"data": [[1.5], [2.5]]}'
V2 = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}]}).encode()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def read(reply: HttpReply) -> dict[str, Any]:
    return json.loads(reply.body)  # type: ignore[no-any-return]


def headers_of(reply: HttpReply) -> dict[bytes, bytes]:
    return dict(reply.headers)


def test_a_preferred_answer_comes_later_in_the_same_bytes() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            at_once = await server.post("/predict", BODY, x_request_id="r-1")
            ticket = await server.post("/predict", BODY, x_request_id="r-1", prefer="respond-async")
            assert ticket.status == 202
            told = read(ticket)
            assert headers_of(ticket)[b"location"] == f"/job/{told['job_id']}".encode()
            assert headers_of(ticket)[b"preference-applied"] == b"respond-async"
            assert len(told["job_id"]) == 32
            job = read(await server.ask("GET", f"{told['href']}?wait=30"))
            assert (job["state"], job["attempts"], job["model"]["name"]) == ("succeeded", 1, "model")
            assert job["answer"]["body"] == json.loads(at_once.body)
            answer = await server.ask("GET", f"{told['href']}/answer")
            assert (answer.status, answer.body, answer.media_type) == (200, at_once.body, at_once.media_type)
            assert answer.model == at_once.model

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", BODY),
        ("/models/model/predict", BODY),
        ("/v2/models/model/infer", V2),
        ("/v1/models/model:predict", b'{"instances": [[1.0]]}'),
        ("/invocations", b'{"inputs": [[1.0]]}'),
    ],
)
def test_every_protocol_is_answered_later_as_it_would_be_at_once(path: str, body: bytes) -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            at_once = await server.post(path, body, x_request_id="same")
            assert at_once.status == 200
            ticket = await server.post(path, body, x_request_id="same", prefer="respond-async")
            assert ticket.status == 202
            answer = await server.ask("GET", read(ticket)["href"] + "/answer?wait=30")
            assert (answer.body, answer.headers, answer.media_type) == (
                at_once.body,
                at_once.headers,
                at_once.media_type,
            )

    run(scenario)


def test_a_path_of_its_own_answers_later_whatever_is_preferred() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            for path in ("/predict/async", "/models/model/predict/async"):
                ticket = await server.post(path, BODY)
                assert ticket.status == 202
                assert b"preference-applied" not in headers_of(ticket)
                job = read(await server.ask("GET", read(ticket)["href"] + "?wait=30"))
                assert (job["state"], job["path"]) == ("succeeded", path.removesuffix("/async"))

    run(scenario)


@pytest.mark.parametrize("prefer", ["", "respond-asynchronous", "wait=5", "return=minimal", '"respond-async"', ";;,="])
def test_other_preferences_are_answered_at_once(prefer: str) -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            assert (await server.post("/predict", BODY, prefer=prefer)).status == 200

    run(scenario)


def test_a_wrong_body_is_refused_and_nothing_is_stored() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            for body, status in ((b"[1", 400), (b'{"data": [["a"]]}', 422)):
                assert (await server.post("/predict", body, prefer="respond-async")).status == status
            assert read(await server.ask("GET", "/jobs"))["jobs"] == []

    run(scenario)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("septet_job_priority", "10"),
        ("septet_job_priority", "high"),
        ("septet_job_delay", "-1"),
        ("septet_job_delay", "1e9"),
        ("septet_job_attempts", "0"),
        ("septet_job_attempts", "101"),
        ("septet_job_max_age", "soon"),
        ("septet_job_digest", "sha256:12"),
        ("septet_job_key", "a b"),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 129),
        ("x_request_id", "a b"),
    ],
)
def test_a_header_of_nonsense_is_refused_by_name(header: str, value: str) -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            reply = await server.post("/predict/async", BODY, **{header: value})
            assert reply.status == 400
            assert header.replace("_", "-") in read(reply)["error"]["message"]

    run(scenario)


def test_the_same_idempotency_key_is_the_same_job_and_another_body_a_conflict() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            first = read(await server.post("/predict/async", BODY, idempotency_key="k"))
            again = read(await server.post("/predict/async", BODY, idempotency_key="k"))
            assert again["job_id"] == first["job_id"]
            other = await server.post("/predict/async", b'{"data": [[0.0]]}', idempotency_key="k")
            assert other.status == 409

    run(scenario)


def test_unknown_and_malformed_ids_have_their_own_answers() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            assert (await server.ask("GET", "/job/" + "0" * 32)).status == 404
            assert (await server.ask("DELETE", "/job/" + "0" * 32)).status == 404
            for malformed in ("x", "0" * 31, "G" * 32):
                assert (await server.ask("GET", f"/job/{malformed}")).status == 400
            assert (await server.ask("GET", "/job/" + "0" * 32 + "?wait=61")).status == 400
            assert (await server.ask("GET", "/job/" + "0" * 32 + "?wiat=6")).status == 400
            assert (await server.ask("GET", "/jobs?state=done")).status == 400
            assert (await server.ask("GET", "/jobs?limit=0")).status == 400
            assert (await server.ask("PUT", "/jobs")).status == 405

    run(scenario)


def test_a_model_that_fails_is_tried_again_and_then_its_error_is_the_answer() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(predictor=FailingPredictor(ModelFailed("It cannot.")))) as server:
            ticket = read(await server.post("/predict/async", BODY, septet_job_attempts="1"))
            job = read(await server.ask("GET", ticket["href"] + "?wait=30"))
            assert (job["state"], job["reason"], job["attempts"]) == ("failed", "attempts_exhausted", 1)
            assert job["error"]["code"]
            answer = await server.ask("GET", ticket["href"] + "/answer")
            assert answer.status >= 500
            failed = read(await server.ask("GET", "/jobs?state=failed"))["jobs"]
            assert [each["job_id"] for each in failed] == [ticket["job_id"]]

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/predict", BODY, lambda error: error["error"]["message"]),
        ("/v2/models/model/infer", V2, lambda error: error["error"]),
    ],
)
def test_a_job_whose_answer_is_larger_than_allowed_fails_at_once(
    path: str, body: bytes, told: Callable[[dict[str, Any]], str]
) -> None:
    async def scenario() -> None:
        size = len((await _answered_at_once(path, body)).body)
        for most, state in ((size, "succeeded"), (size - 1, "failed")):
            async with JobServer(testing.service(), jobs=Jobs(store="memory", max_answer_bytes=most)) as server:
                ticket = read(await server.post(path, body, x_request_id="same", prefer="respond-async"))
                job = read(await server.ask("GET", ticket["href"] + "?wait=30"))
                assert (job["state"], job["attempts"]) == (state, 1)
                if state == "failed":
                    answer = await server.ask("GET", ticket["href"] + "/answer")
                    assert (job["reason"], job["error"]["code"], answer.status) == ("permanent", "too_large", 413)
                    assert told(read(answer)) == job["error"]["message"]
                    assert f"{size} bytes" in job["error"]["message"]

    run(scenario)


async def _answered_at_once(path: str, body: bytes) -> HttpReply:
    async with JobServer(testing.service()) as server:
        return await server.post(path, body, x_request_id="same")


def test_a_job_that_waits_can_be_cancelled() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            ticket = read(await server.post("/predict/async", BODY))
            waits = await server.ask("GET", ticket["href"])
            assert (read(waits)["state"], headers_of(waits)[b"retry-after"]) == ("queued", b"1")
            assert (await server.ask("GET", ticket["href"] + "/answer")).status == 202
            for _ in range(2):
                cancelled = await server.ask("DELETE", ticket["href"])
                assert (cancelled.status, read(cancelled)["state"]) == (200, "cancelled")
            assert (await server.ask("GET", ticket["href"] + "/answer")).status == 410

    run(scenario)


def test_a_job_that_no_worker_can_answer_says_so_and_expires_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_serving, "SWEEP_SECONDS", 0.01)

    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            waits = read(await server.post("/predict", BODY, prefer="respond-async"))
            for path in ("", "/answer"):
                job = read(await server.ask("GET", waits["href"] + path))
                assert job["waiting_for"] == "a worker that has the model 'model'; none has it now"
            events = (await server.ask("GET", waits["href"] + "/events")).pieces
            assert events is not None
            assert b'"waiting_for"' in await anext(events)
            await events.aclose()
            (listed,) = read(await server.ask("GET", "/jobs"))["jobs"]
            assert listed["waiting_for"] == job["waiting_for"]
            assert b"\nseptet_jobs_unserved 1.0\n" in (await server.ask("GET", "/metrics")).body
            expires = read(await server.post("/predict/async", BODY, septet_job_begin_within="0"))
            ended = read(await server.ask("GET", expires["href"] + "?wait=30"))
            assert ended["state"] == "expired"
            assert "waiting_for" not in ended
            server.store.join("w", ["model"], 0.0)
            assert "waiting_for" not in read(await server.ask("GET", waits["href"]))

    run(scenario)


def test_a_job_that_runs_is_cancelled_by_its_worker() -> None:
    async def scenario() -> None:
        held = testing.HeldPredictor(testing.EchoPredictor(("y",)))
        async with JobServer(testing.service(predictor=held)) as server:
            ticket = read(await server.post("/predict/async", BODY))
            await held.until_held()
            assert (await server.ask("DELETE", ticket["href"])).status == 202
            assert server.store.beat("w", 0.0) == [ticket["job_id"]]
            server.keeping.on_cancelled([ticket["job_id"]])
            job = read(await server.ask("GET", ticket["href"] + "?wait=30"))
            assert job["state"] == "cancelled"
            assert held.held[0].cancelled

    run(scenario)


def test_what_is_over_and_forgotten_is_gone() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), limits=StoreLimits(keep_seconds=1.0)) as server:
            ticket = read(await server.post("/predict/async", BODY))
            job = read(await server.ask("GET", ticket["href"] + "?wait=30"))
            assert job["state"] == "succeeded"
            (stored,) = server.store.find([ticket["job_id"]])
            assert isinstance(stored, Job)
            assert stored.state is JobState.SUCCEEDED
            assert stored.ended_at is not None
            server.store.sweep(stored.ended_at + 1.5, 10)
            assert (await server.ask("GET", ticket["href"])).status == 410

    run(scenario)


def test_the_classic_shape_has_the_answer_alone() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            ticket = read(await server.post("/predict/async", BODY))
            shown = read(await server.ask("GET", ticket["href"] + "?wait=30&shape=classic"))
            assert list(shown) == [ticket["job_id"]]
            assert shown[ticket["job_id"]]["prediction"]["prediction"] == [0.0, 0.0]

    run(scenario)


def test_a_pinned_digest_is_answered_by_that_model_alone() -> None:
    async def scenario() -> None:
        identity = Identity("model", "1", "sha256:" + "a" * 64)
        async with JobServer(testing.service(identity=identity)) as server:
            good = read(await server.post("/predict/async", BODY, septet_job_digest=identity.digest))
            assert read(await server.ask("GET", good["href"] + "?wait=30"))["state"] == "succeeded"
            bad = await server.post(
                "/predict/async", BODY, septet_job_digest="sha256:" + "b" * 64, septet_job_attempts="1"
            )
            job = read(await server.ask("GET", read(bad)["href"] + "?wait=30"))
            assert (job["state"], job["error"]["code"]) == ("failed", "conflict")

    run(scenario)


def test_many_jobs_are_run_together_and_each_has_its_own_answer() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(predictor=testing.EchoPredictor(("y",)))) as server:
            bodies = [b'{"data": [[%d.0]]}' % n for n in range(200)]
            tickets = await asyncio.gather(*(server.post("/predict/async", body) for body in bodies))
            answers = await asyncio.gather(*(server.ask("GET", read(each)["href"] + "?wait=30") for each in tickets))
            values = [read(each)["answer"]["body"]["prediction"] for each in answers]
            assert values == [[float(n)] for n in range(200)]

    run(scenario)


def test_the_routes_of_jobs_are_documented() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            document = read(await server.ask("GET", "/openapi.json"))
            OpenAPIV31SpecValidator(document).validate()
            assert {"/job/{job_id}", "/job/{job_id}/answer", "/jobs", "/predict/async"} <= set(document["paths"])
            assert {"name": "jobs"} in document["tags"]

    run(scenario)


def test_a_job_is_followed_by_its_events_until_the_caller_knows_its_end() -> None:
    async def scenario() -> None:
        held = testing.HeldPredictor(testing.EchoPredictor(("y",)))
        async with JobServer(testing.service(predictor=held)) as server:
            path = read(await server.post("/predict/async", BODY))["href"] + "/events"
            await held.until_held()
            reply = await server.ask("GET", path)
            assert (reply.status, reply.media_type, reply.body) == (200, b"text/event-stream", b"retry: 500\n\n")
            assert reply.pieces is not None
            seen = []
            async for event in reply.pieces:
                seen.append(dict(line.split(": ", 1) for line in event.decode().strip().split("\n")))
                held.release()
            assert [each["event"] for each in seen] == ["running", "succeeded"]
            assert json.loads(seen[1]["data"])["answer"]["body"]["prediction"] == [1.5, 2.5]
            # As an EventSource asks again: for what came behind the last event that it has.
            again = await server.ask("GET", path, last_event_id=seen[0]["id"])
            assert again.pieces is not None
            assert [event.decode().split("\n")[1] async for event in again.pieces] == ["event: succeeded"]
            assert (await server.ask("GET", path, last_event_id=seen[1]["id"])).status == 410

    run(scenario)


def test_an_answer_is_brought_to_the_sink_that_its_caller_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with JobServer(
            testing.service(), jobs=Jobs(store="memory", sinks=(f"answers=file://{tmp_path}",))
        ) as server:
            assert (await server.post("/predict/async", BODY, septet_job_sink="elsewhere")).status == 422
            assert (await server.post("/predict/async", BODY, septet_job_sink="https://a.test/")).status == 422
            ticket = read(await server.post("/predict/async", BODY, septet_job_sink="answers"))
            answer = await server.ask("GET", ticket["href"] + "/answer?wait=30")
            while not any(answer.body in each.read_bytes() for each in tmp_path.glob(f"{ticket['job_id']}*")):  # noqa: ASYNC240
                await server.ask("GET", ticket["href"] + "?wait=0.1")

    run(scenario)


def _bringing_to(made: Hook) -> Jobs:
    return Jobs(
        store="memory",
        sinks=(f"hook=http://127.0.0.1:{made.port}/secret",),
        webhook_secrets=(SECRET,),
        webhook_networks=("127.0.0.0/8",),
    )


def _hang_until(let_go: threading.Event, connected: socket.socket, over: threading.Event) -> None:
    while not (let_go.wait(0.01) or over.is_set()):
        pass
    connected.sendall(b"HTTP/1.1 204 No\r\n\r\n")


def test_hooks_that_hang_keep_no_prediction_waiting() -> None:
    let_go = threading.Event()

    async def scenario(made: Hook) -> None:
        async with JobServer(testing.service(), jobs=_bringing_to(made)) as server:
            tickets = [read(await server.post("/predict/async", BODY, septet_job_sink="hook")) for _ in range(20)]
            await asyncio.to_thread(all_called, made, MOST_TO_ONE)
            later = read(await server.post("/predict/async", BODY))
            job = read(await server.ask("GET", later["href"] + "?wait=30"))
            assert job["state"] == "succeeded"
            assert read(await server.ask("GET", tickets[0]["href"]))["sink"] == "hook"
            assert len(made.calls) == MOST_TO_ONE
            let_go.set()
            await asyncio.to_thread(all_called, made, len(tickets))
        told = {json.loads(call.body)["data"]["job_id"] for call in made.calls}
        assert told == {ticket["job_id"] for ticket in tickets}

    with hook(partial(_hang_until, let_go)) as made:
        run(lambda: scenario(made))


def test_a_hook_that_hangs_when_it_is_called_again_keeps_no_prediction_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_consumer, "delivery_delay", lambda *_: 0.0)
    let_go = threading.Event()

    async def scenario(made: Hook) -> None:
        async with JobServer(testing.service(), jobs=_bringing_to(made)) as server:
            await server.post("/predict/async", BODY, septet_job_sink="hook")
            await asyncio.to_thread(all_called, made, 2)
            later = read(await server.post("/predict/async", BODY))
            job = read(await server.ask("GET", later["href"] + "?wait=30"))
            assert job["state"] == "succeeded"
            let_go.set()

    with hook(status(503), partial(_hang_until, let_go)) as made:
        run(lambda: scenario(made))
    assert "/*** answered with the status 503" in caplog.text


def test_where_too_many_answers_wait_for_one_sink_the_store_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_run, "MOST_WAITING", 2)
    let_go = threading.Event()

    async def scenario(made: Hook) -> None:
        async with JobServer(testing.service(), jobs=_bringing_to(made)) as server:
            tickets = [read(await server.post("/predict/async", BODY, septet_job_sink="hook")) for _ in range(6)]

            def deliveries(state: JobState) -> list[Job]:
                return list(server.store.page(JobFilter(state, kind="deliver"), None, 100).jobs)

            def handed_back() -> bool:
                queued = deliveries(JobState.QUEUED)
                later = [each for each in queued if each.due_at > each.submitted_at]
                return len(later) == len(tickets) - 2

            await asyncio.to_thread(until, handed_back)
            assert [each.attempts for each in deliveries(JobState.QUEUED)] == [0] * (len(tickets) - 2)
            assert len(deliveries(JobState.RUNNING)) == 2
            let_go.set()
            await asyncio.to_thread(until, lambda: len(deliveries(JobState.SUCCEEDED)) >= 2)

    with hook(partial(_hang_until, let_go)) as made:
        run(lambda: scenario(made))


def test_an_application_in_another_server_says_that_it_accepts_no_jobs() -> None:
    with pytest.raises(SettingsInvalid, match="septet serve"):
        septet.asgi("examples/iris", jobs="sqlite:///jobs.db")
