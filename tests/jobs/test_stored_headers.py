"""What of a request's headers is stored with its job."""

from septet import testing
from tests.jobs.in_process import JobServer
from tests.jobs.test_jobs_in_process import BODY, read, run


def test_no_credential_of_a_caller_is_stored() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            secrets = {"authorization": "Bearer s3cret", "cookie": "s3cret", "x_api_key": "s3cret"}
            job = read(
                await server.post("/predict/async", BODY, idempotency_key="s3cret", accept="text/csv", **secrets)
            )
            stored = server.store.body(job["job_id"])
            assert stored is not None
            assert {name for name, _ in stored.headers} == {b"accept", b"content-type", b"x-request-id"}
            assert "s3cret" not in repr(stored)

    run(scenario)
