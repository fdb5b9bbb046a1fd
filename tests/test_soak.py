"""The soaks, shortened: mixed traffic, releases and a killed worker, every request counted and every answer checked."""

from pathlib import Path

import pytest

from soak.jobs.trials import killed_servers
from soak.models import Versions
from soak.rounds import SoakedServer

SECONDS = 3.0


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tmp_path_factory.mktemp("versions"))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_of_mixed_traffic_is_answered_rightly_and_counted_once(
    workers: int, versions: Versions, tmp_path: Path
) -> None:
    quiet, killed = SoakedServer(versions, workers, tmp_path).run(SECONDS, 2)
    assert quiet.broken == killed.broken == []
    assert quiet.sent <= quiet.counted <= quiet.sent + quiet.abandoned
    assert quiet.sent > len(quiet.kinds)
    assert quiet.releases >= 2
    assert killed.kills >= 1


def test_every_job_that_was_acknowledged_before_its_server_was_killed_has_ended_once(tmp_path: Path) -> None:
    trial = killed_servers("sqlite", tmp_path, 2, 0.0)
    assert trial.broken == []
    assert trial.figures["answers compared"] == trial.figures["acknowledged"] == 2
