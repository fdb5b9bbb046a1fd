"""What befalls the disk and the file of jobs while a server uses them: clear errors, nothing acknowledged is lost."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.faults.job_servers import ended, job, refused, serving, submit
from tests.waiting import until

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.call([*_NAMESPACE, "true"], stderr=subprocess.DEVNULL) == 0


needs_disks = pytest.mark.skipif(not _has_namespaces(), reason="a disk of one's own needs user namespaces")


@contextmanager
def serving_on_a_disk(folder: Path, mount: str, *options: str) -> Iterator[tuple[ServerProcess, Path]]:
    """A server whose jobs lie on a disk that only it sees, and the path by which others do."""
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    command = septet_serve(IRIS, "--jobs", f"sqlite:///{disk}/jobs.db", "--job-lease", "1", *options)
    shell = ["sh", "-c", f'mount {mount} "{disk}" && exec "$@"', "sh"]
    with ServerProcess([*_NAMESPACE, *shell, *command], folder / "log") as server:
        yield server, Path(f"/proc/{server.process.pid}/root{disk}")


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with suppress(OSError), file.open("wb", buffering=0) as opened:
        while opened.write(bytes(4096)):
            pass


@needs_disks
def test_a_full_disk_is_told_and_what_was_accepted_is_answered_once_there_is_room(tmp_path: Path) -> None:
    with serving_on_a_disk(tmp_path, "-t tmpfs -o size=4m tmpfs") as (server, disk):
        accepted = [submit(server)]
        ended(server, accepted)
        fill(disk / "ballast")

        while not (reason := refused(server, rows=2000)):
            pass  # there was room in pages that were free
        assert "its disk is full" in reason
        assert job(server, accepted[0])["state"] == "succeeded"
        assert server.prediction("/predict", {"data": [[5.1, 3.5, 1.4, 0.2]]})
        (disk / "ballast").unlink()
        until(lambda: not refused(server))
        everything = [each["job_id"] for each in server.client.get("/jobs").json()["jobs"]]
        assert accepted[0] in everything
        assert {each["state"] for each in ended(server, everything)} == {"succeeded"}
        assert "Traceback" not in server.log


@needs_disks
def test_a_disk_that_cannot_be_written_stops_the_start_by_name(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "jobs.db").touch()
    read_only = f'--bind "{tmp_path}/disk" "{tmp_path}/disk" && mount -o remount,bind,ro'
    with (
        pytest.raises(AssertionError, match="ended with 2"),
        serving_on_a_disk(tmp_path, read_only),
    ):
        pass
    text = (tmp_path / "log").read_text()
    assert f"{tmp_path}/disk/jobs.db" in text
    assert "Traceback" not in text, text


def test_a_file_that_is_deleted_is_told_by_every_process_until_it_is_put_back(tmp_path: Path) -> None:
    file, away = tmp_path / "jobs.db", tmp_path / "away.db"
    with serving(f"sqlite:///{file}", tmp_path / "log", "--job-workers", "2", "--workers", "2") as server:
        accepted = [submit(server) for _ in range(20)]
        file.rename(away)
        for _ in range(8):
            assert "deleted while it was in use" in refused(server)
        asked = server.client.get(f"/job/{accepted[0]}")
        assert (asked.status_code, asked.json()["error"]["code"]) == (503, "unavailable")
        assert not file.exists()
        away.rename(file)
        accepted += [submit(server)]
        assert {each["state"] for each in ended(server, accepted)} == {"succeeded"}
        assert "Traceback" not in server.log
