"""What code in a worker tells of its progress is seen through the server and the command."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until

BODY = {"data": [[5.1, 3.5, 1.4, 0.2]]}


def test_the_progress_of_a_job_in_a_worker_is_seen_by_its_caller_and_by_the_command(tmp_path: Path) -> None:
    store, go_on = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "go_on"
    command = septet_serve(IRIS, "--jobs", store, "--middleware", "tests.e2e.services.stepping:stepping")
    with ServerProcess(command, tmp_path / "log", environment={"STEPPING_FILE": str(go_on)}) as server:
        ticket = server.post("/predict/async", BODY).json()
        until(lambda: "progress" in server.client.get(ticket["href"]).json())
        job = server.client.get(ticket["href"]).json()
        assert (job["state"], job["progress"]) == ("running", 0.4)
        show = (sys.executable, "-m", "septet", "jobs", "show", ticket["job_id"], "--jobs", store)
        shown = json.loads(subprocess.run(show, check=True, capture_output=True).stdout)
        assert (shown["state"], shown["progress"]) == ("running", 0.4)
        go_on.touch()
        # It tells it of every request, and nobody listens to one that is answered at once.
        assert server.post("/predict", BODY).status_code == 200
        assert server.client.get(ticket["href"] + "?wait=30").json()["state"] == "succeeded"
