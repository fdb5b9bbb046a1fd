"""A caller who is known by an API key sees, lists and cancels the jobs of that key alone."""

import msgspec

from septet import testing
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from tests.jobs.in_process import JobServer
from tests.jobs.test_jobs_in_process import BODY, read, run


async def ask(server: JobServer, caller: str | None, method: str, path: str, body: bytes = b"") -> HttpReply:
    """Ask as `caller`, whom the check of keys has found; a query is not taken."""
    http = HttpRequest(method, path, b"", {b"content-type": b"application/json"}, body)
    return await server.app(msgspec.structs.replace(http, caller=caller))


def test_a_job_of_another_key_is_as_one_that_is_not_there() -> None:
    async def scenario() -> None:
        async with JobServer(testing.service(), working=False) as server:
            job = f"/job/{read(await ask(server, 'one', 'POST', '/predict/async', BODY))['job_id']}"
            for method, path in (("GET", job), ("GET", f"{job}/answer"), ("GET", f"{job}/events"), ("DELETE", job)):
                assert (await ask(server, "other", method, path)).status == 404
            assert read(await ask(server, "other", "GET", "/jobs"))["jobs"] == []
            assert read(await ask(server, "one", "GET", job))["state"] == "queued"
            assert len(read(await ask(server, "one", "GET", "/jobs"))["jobs"]) == 1
            assert read(await ask(server, "one", "DELETE", job))["state"] == "cancelled"

    run(scenario)
