"""A fast model answers at once, with a ticket for the answer of a slower one."""

import json

import pytest

from septet import testing
from septet.errors import ModelFailed
from septet.types import Identity
from tests.jobs.in_process import JobServer
from tests.jobs.test_jobs_in_process import BODY, V2, headers_of, read, run

SLOW = Identity("other", "3", "sha256:" + "c" * 64)


def slow() -> "testing.HeldPredictor":
    return testing.HeldPredictor(testing.EchoPredictor(("y",), identity=SLOW))


@pytest.mark.parametrize(("path", "body"), [("/models/model/predict", BODY), ("/v2/models/model/infer", V2)])
def test_one_request_has_an_answer_now_and_another_later(path: str, body: bytes) -> None:
    async def scenario() -> None:
        held = slow()
        async with JobServer(testing.service(), testing.service(predictor=held, identity=SLOW)) as server:
            at_once = await server.post(path, body, x_request_id="r")
            lagged = await server.post(path, body, x_request_id="r", prefer="septet-later=other")
            assert (lagged.status, lagged.body) == (200, at_once.body)
            told = headers_of(lagged)
            assert told[b"preference-applied"] == b"septet-later=other"
            await held.until_held()
            held.release()
            job = read(await server.ask("GET", told[b"location"].decode() + "?wait=30"))
            assert (job["job_id"], job["state"]) == (told[b"septet-job"].decode(), "succeeded")
            assert job["model"]["name"] == "other"
            direct = server.post(path.replace("model/", "other/", 1), body, x_request_id="r")
            held.holding = False
            assert job["answer"]["body"] == json.loads((await direct).body)

    run(scenario)


def test_what_is_wrong_for_the_slower_model_is_refused_and_nothing_is_stored() -> None:
    async def scenario() -> None:
        other = testing.service(identity=SLOW)
        async with JobServer(testing.service(), other) as server:
            for path, later, status in (
                ("/models/model/predict", "none", 404),
                ("/models/model/predict", "../x", 200),
                ("/models/model/invocations", "none", 404),
            ):
                body = b'{"inputs": [[1.0]]}' if "invocations" in path else BODY
                reply = await server.post(path, body, prefer=f"septet-later={later}")
                assert reply.status == status
            assert read(await server.ask("GET", "/jobs"))["jobs"] == []

    run(scenario)


def test_a_model_that_fails_at_once_still_gives_the_ticket() -> None:
    async def scenario() -> None:
        failing = testing.service(predictor=testing.FailingPredictor(ModelFailed("It cannot.")))
        async with JobServer(failing, testing.service(identity=SLOW)) as server:
            lagged = await server.post("/models/model/predict", BODY, prefer="septet-later=other")
            assert lagged.status == 500
            job = read(await server.ask("GET", headers_of(lagged)[b"location"].decode() + "?wait=30"))
            assert job["state"] == "succeeded"

    run(scenario)


def test_a_lone_model_has_no_other_one() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service()) as server:
            reply = await server.post("/predict", BODY, prefer="septet-later=other")
            assert reply.status == 404
            assert "/models/model/predict" in read(reply)["error"]["message"]

    run(scenario)
