"""What a client submits as a job is answered as `predict` answers it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import septet
from septet.client.job_flow import JobWait
from septet.errors import Conflict, DeadlineExceeded, Gone, Invalid, NotFound, TooLarge, Unimplemented
from septet.remote.server_address import TransportName
from tests.e2e.process import IRIS, ServerProcess, septet_serve

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]])
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
FRAME = pd.DataFrame(ROWS, columns=NAMES, index=["a", "b"])
LARGE = np.full((1000, 4), 5.0)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("iris")
    command = septet_serve(IRIS, "--jobs", f"sqlite:///{folder}/jobs.db", "--job-max-answer", "2000")
    with ServerProcess(command, folder / "log") as server:
        yield server


@pytest.fixture(params=["binary", "json"])
def client(iris: ServerProcess, request: pytest.FixtureRequest) -> Iterator[septet.Client]:
    transport: TransportName = request.param
    with septet.Client(f"http://127.0.0.1:{iris.port}", timeout=30.0, transport=transport) as made:
        yield made


def same(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        return bool(one.equals(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other) and bool(other.flags.writeable)
    return bool(one == other)


def test_each_kind_of_data_is_answered_as_at_once(client: septet.Client) -> None:
    name = client.metadata()["inputs"][0]["name"]
    for data in (ROWS, {name: ROWS.astype(np.float32)}, FRAME, FRAME.to_dict("records"), ROWS.tolist()):
        answer = client.submit(data).answer(30.0)
        expected = client.predict(data)
        assert type(answer) is type(expected)
        assert same(expected, answer)


def test_a_job_is_found_by_its_id_and_answers_arrays(iris: ServerProcess, client: septet.Client) -> None:
    submitted = client.submit(ROWS.tolist(), priority=3, delay=0.0, attempts=2, max_age=60.5)
    document = client.job(submitted.id).wait(30.0)
    assert (document["state"], document["priority"], document["max_attempts"]) == ("succeeded", 3, 2)
    assert same(client.predict(ROWS), client.job(submitted.id).answer())
    by_hand = iris.post("/predict/async", {"data": ROWS.tolist()}).json()["job_id"]
    assert client.job(by_hand).answer(30.0) == client.predict(ROWS.tolist())


def test_the_same_idempotency_key_is_the_same_job(client: septet.Client) -> None:
    key = f"order-{client.submit(ROWS).id}"
    first = client.submit(ROWS, idempotency_key=key)
    assert client.submit(ROWS, idempotency_key=key).id == first.id
    assert client.submit(ROWS).id != first.id
    with pytest.raises(Conflict, match="idempotency key"):
        client.submit(ROWS[:1], idempotency_key=key)


def test_a_job_that_waits_is_cancelled_and_has_no_answer(client: septet.Client) -> None:
    job = client.submit(ROWS, delay=3600.0)
    with pytest.raises(DeadlineExceeded, match="had not ended within 0 seconds: it is queued"):
        job.wait(0)
    assert job.cancel()["state"] == "cancelled"
    with pytest.raises(Gone, match="is cancelled"):
        job.answer(30.0)


def test_what_is_wrong_is_refused_before_it_is_a_job_and_what_fails_raises_its_own_error(client: septet.Client) -> None:
    with pytest.raises(Invalid) as refused:
        client.submit([[5.1, 3.5, "long", 0.2]])
    assert refused.value.problems[0].column == "petal length (cm)"
    with pytest.raises(TooLarge, match="Send fewer rows"):
        client.submit(LARGE).answer(30.0)
    with pytest.raises(TypeError, match="no option 'pirority'"):
        client.submit(ROWS, pirority=3)  # type: ignore[call-arg]
    with pytest.raises(NotFound, match="no job"):
        client.job("f" * 32).document()


def test_coroutines_submit_wait_for_and_cancel_jobs(iris: ServerProcess) -> None:
    async def scenario() -> None:
        async with septet.AsyncClient(f"http://127.0.0.1:{iris.port}", timeout=30.0) as client:
            jobs = await asyncio.gather(*(client.submit(FRAME, key="k") for _ in range(5)))
            answers = await asyncio.gather(*(job.answer(30.0) for job in jobs))
            expected = await client.predict(FRAME)
            assert all(same(expected, answer) for answer in answers)
            assert (await client.job(jobs[0].id).document())["key"] == "k"
            late = await client.submit(ROWS, delay=3600.0)
            assert (await late.cancel())["state"] == "cancelled"
            with pytest.raises(Gone):
                await late.answer()

    asyncio.run(scenario())


def test_a_server_without_jobs_and_a_client_over_grpc_say_so(tmp_path: Path) -> None:
    with (
        ServerProcess(septet_serve(IRIS), tmp_path / "log") as server,
        septet.Client(f"http://127.0.0.1:{server.port}", timeout=30.0) as client,
        pytest.raises(Unimplemented, match="--jobs"),
    ):
        client.submit(ROWS)
    with septet.Client("grpc://127.0.0.1:9", timeout=30.0) as client, pytest.raises(Unimplemented, match="over HTTP"):
        client.job("f" * 32).document()


def test_the_end_of_a_job_is_waited_for_in_turns_and_with_pauses_where_the_server_gives_up_early() -> None:
    now = 100.0
    job = {"job_id": "j", "state": "queued", "waiting_for": "a worker"}
    wait = JobWait(40.0, lambda: now)
    assert wait.seconds() == 25.0
    now += 0.5
    assert wait.pause(job) == 1.0
    now += 1.0
    assert wait.seconds() == 25.0
    now += 25.0
    assert wait.pause(job) == 0.0
    assert wait.seconds() == 13.5
    now += 13.5
    with pytest.raises(DeadlineExceeded, match="it is queued, and waits for a worker"):
        wait.pause(job)
    assert JobWait(None, lambda: now).seconds() == 25.0
