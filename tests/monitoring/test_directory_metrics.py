import subprocess
import sys
from pathlib import Path

import pytest

from septet.errors import StartupError
from septet.events import Finished
from septet.monitoring.directory_metrics import DirectoryMetrics
from septet.monitoring.metrics_layout import MetricsLayout

LAYOUT = MetricsLayout(["/predict"], ["ok"])
ANSWERED = Finished("/predict", "id", "ok", 200, 2, 0.001, batch_rows=2)

COUNTING = """
import sys
from pathlib import Path
from septet.events import Finished
from septet.monitoring.directory_metrics import DirectoryMetrics
from septet.monitoring.metrics_layout import MetricsLayout

counts = DirectoryMetrics(MetricsLayout(["/predict"], ["ok"]), Path(sys.argv[1])).claim()
counts.turned(1, ())
counts.turned(1, ())
counts.turned(0, [Finished("/predict", "id", "ok", 200, 1, 0.001)])
print("counted", flush=True)
sys.stdin.read()
"""


def other_process(directory: Path) -> "subprocess.Popen[str]":
    """Start a process that counts one request, keeps one in flight, and stays until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def test_processes_that_share_a_directory_are_added_up(tmp_path: Path) -> None:
    shared_metrics = DirectoryMetrics(LAYOUT, tmp_path / "metrics")
    counts = shared_metrics.claim()
    counts.turned(0, [ANSWERED])

    with other_process(tmp_path / "metrics") as process:
        snapshot = shared_metrics.snapshot()
        process.communicate()

    assert (snapshot.requests.sum(), snapshot.workers, snapshot.rows.sum()) == (2, 2, 2)


def test_a_dead_process_keeps_its_counters_and_loses_its_gauges(tmp_path: Path) -> None:
    shared_metrics = DirectoryMetrics(LAYOUT, tmp_path)

    with other_process(tmp_path) as process:
        assert (shared_metrics.snapshot().in_flight, shared_metrics.snapshot().workers) == (1, 1)
        process.kill()

    snapshot = shared_metrics.snapshot()
    assert (snapshot.requests.sum(), snapshot.in_flight, snapshot.workers) == (1, 0, 0)


def test_a_new_process_takes_over_a_dead_ones_file(tmp_path: Path) -> None:
    with other_process(tmp_path) as process:
        process.kill()
    shared_metrics = DirectoryMetrics(LAYOUT, tmp_path)

    counts = shared_metrics.claim()
    counts.turned(0, [ANSWERED])

    assert len(list(tmp_path.iterdir())) == 1
    assert (shared_metrics.snapshot().requests.sum(), shared_metrics.snapshot().workers) == (2, 1)


def test_files_of_another_layout_are_left_alone(tmp_path: Path) -> None:
    older = DirectoryMetrics(MetricsLayout(["/older"], ["ok"]), tmp_path)
    counts = older.claim()
    counts.turned(0, [ANSWERED])

    assert DirectoryMetrics(LAYOUT, tmp_path).snapshot().requests.sum() == 0


def test_a_file_that_was_only_just_created_is_skipped(tmp_path: Path) -> None:
    shared_metrics = DirectoryMetrics(LAYOUT, tmp_path)
    shared_metrics.claim()
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"")

    assert shared_metrics.snapshot().requests.sum() == 0


def test_processes_with_other_models_count_in_files_of_their_own(tmp_path: Path) -> None:
    DirectoryMetrics(LAYOUT, tmp_path, ["iris", "wine"]).claim().turned(0, [ANSWERED])

    assert DirectoryMetrics(LAYOUT, tmp_path, ["iris", "wine"]).snapshot().requests.sum() == 1
    assert DirectoryMetrics(LAYOUT, tmp_path, ["wine", "iris"]).snapshot().requests.sum() == 0


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartupError, match="name a directory that the server may write to"):
        DirectoryMetrics(LAYOUT, tmp_path / "file" / "metrics").claim()
