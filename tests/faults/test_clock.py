"""The time of day may jump: nothing that waits, bounds or judges reads it."""

import re
from pathlib import Path

import septet

SOURCE = Path(septet.__file__).parent
#: Who tells people the time: the header `date`, the log, the age of data, provenance, reports.
TELLERS = {
    "server/http_server_state.py",
    "monitoring/worker_metrics.py",
    "assembly/composition.py",
    "remote/remote_service.py",
    "packing/provenance.py",
    "cli/bench_output.py",
    "sinks/webhook_client.py",  # a date in Retry-After
    "assembly/batch_leading.py",  # when a run began and ended
    "cli/runs.py",  # which runs ended long ago
}


def test_only_what_tells_people_the_time_reads_the_time_of_day() -> None:
    read = re.compile(r"\btime\.time\b|\bdatetime\.(?:now|today|utcnow)\b")
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if read.search(path.read_text())}
    assert found - TELLERS == set()
