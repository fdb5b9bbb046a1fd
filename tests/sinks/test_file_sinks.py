"""Answers that are brought to a folder, and to one file of JSON Lines."""

import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from septet.queues.job import StoredReply
from septet.sinks import lines_sink
from septet.sinks.delivery import DeliveryFailed, DeliveryRefused
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from tests.sinks.samples import BINARY_REPLY, DELIVERY_ID, JOB_ID, JSON_REPLY, delivery, failed_delivery


def opened(path: Path) -> OpenSinks:
    return OpenSinks(SinkPolicy(sinks=(f"here=file://{path}",)))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_a_job_has_one_file_however_often_its_answer_is_brought(tmp_path: Path) -> None:
    sinks = opened(tmp_path)
    # What an attempt left that was killed.
    (tmp_path / f".{JOB_ID}.json.1.part").write_bytes(b"half")
    for attempt in (2, 3):
        sinks.deliver("here", delivery(attempt=attempt))
    assert names(tmp_path) == [f"{JOB_ID}.json"]
    told = json.loads((tmp_path / f"{JOB_ID}.json").read_bytes())
    assert (told["id"], told["data"]["answer"]["body"]["predictions"]) == (DELIVERY_ID, [1, 2.5])
    sinks.deliver("here", delivery(job_id="other", reply=None, error=failed_delivery().error))
    assert names(tmp_path) == [f"{JOB_ID}.json", "other.json"]


@pytest.mark.parametrize(
    ("reply", "suffix"),
    [
        (BINARY_REPLY, ".bin"),
        (StoredReply(200, b"text/csv; charset=utf-8", b"a,b"), ".csv"),
        (StoredReply(200, b"application/json", b"\x1f\x8b", ((b"content-encoding", b"gzip"),)), ".json.gz"),
        (StoredReply(200, b"application/json", b"coded", ((b"content-encoding", b"other"),)), ".bin"),
        (StoredReply(200, b"application/json; charset=utf-8", b"{}"), ".bin"),
        (StoredReply(200, b"../../etc", b"x"), ".bin"),
    ],
)
def test_what_is_not_json_has_its_own_bytes_in_a_file_beside(tmp_path: Path, reply: StoredReply, suffix: str) -> None:
    opened(tmp_path).deliver("here", delivery(reply=reply))
    assert names(tmp_path) == sorted([f"{JOB_ID}.json", JOB_ID + suffix])
    assert (tmp_path / (JOB_ID + suffix)).read_bytes() == reply.body
    answer = json.loads((tmp_path / f"{JOB_ID}.json").read_bytes())["data"]["answer"]
    assert answer == {"status": 200, "content_type": reply.media_type.decode(), "file": JOB_ID + suffix}


def test_a_folder_that_is_away_is_not_made_and_may_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    sinks = opened(folder)
    with pytest.raises(DeliveryFailed, match="No such file"):
        sinks.deliver("here", delivery())
    assert not folder.exists()
    folder.mkdir()
    sinks.deliver("here", delivery())
    assert names(folder) == [f"{JOB_ID}.json"]


def test_a_file_that_another_attempt_writes_is_left_to_it_and_the_next_attempt_succeeds(tmp_path: Path) -> None:
    sinks = opened(tmp_path)
    other = tmp_path / f".{JOB_ID}.json.1.part"
    other.write_bytes(b"half")
    with pytest.raises(DeliveryFailed, match="exists"):
        sinks.deliver("here", delivery(attempt=1))
    assert other.read_bytes() == b"half"
    sinks.deliver("here", delivery(attempt=2))
    assert names(tmp_path) == [f"{JOB_ID}.json"]


def test_an_id_that_leads_elsewhere_names_no_file(tmp_path: Path) -> None:
    with pytest.raises(DeliveryRefused):
        opened(tmp_path).deliver("here", delivery(job_id="../job"))
    assert names(tmp_path) == []


def test_a_line_is_appended_for_each_delivery_by_many_threads(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    sinks = opened(file)
    reply = StoredReply(200, b"application/json", json.dumps("x" * 100_000).encode())
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: sinks.deliver("here", delivery(id=str(number), reply=reply)), range(40)))
    assert {each["id"] for each in lines(file)} == {str(number) for number in range(40)}
    file.rename(tmp_path / "old.jsonl")
    sinks.deliver("here", delivery())
    assert [each["id"] for each in lines(file)] == [DELIVERY_ID]


def test_an_answer_of_several_lines_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    reply = StoredReply(200, b"application/json", b'{\r\n  "a": "b\\n",\n  "c": 1\n}')
    opened(file).deliver("here", delivery(reply=reply))
    assert [each["data"]["answer"]["body"] for each in lines(file)] == [{"a": "b\n", "c": 1}]


@pytest.mark.parametrize(
    ("torn", "kept"),
    [(b'{"id": "torn', []), (b'{"id": "\xff', []), (b"x" * 200_000, []), (b'{"id": "b"}', ["b"])],
)
def test_half_of_a_line_that_a_killed_writer_left_is_cut(tmp_path: Path, torn: bytes, kept: list[str]) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'{"id": "a"}\n' + torn)
    opened(file).deliver("here", delivery())
    assert [each["id"] for each in lines(file)] == ["a", *kept, DELIVERY_ID]
    file.write_bytes(torn)
    opened(file).deliver("here", delivery())
    assert [each["id"] for each in lines(file)] == [*kept, DELIVERY_ID]


def test_a_file_that_is_locked_for_long_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_sink, "_LOCK_SECONDS", 0.05)
    file = tmp_path / "answers.jsonl"
    with file.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeliveryFailed, match="locked"):
            opened(file).deliver("here", delivery())
    opened(file).deliver("here", delivery())
    assert len(lines(file)) == 1


_FULL = """
import resource, signal, sys
from pathlib import Path
from septet.sinks.delivery import DeliveryFailed
from septet.queues.job import StoredReply
from tests.sinks.samples import delivery
from tests.sinks.test_file_sinks import opened
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sinks = opened(Path(sys.argv[1]))
sinks.deliver("here", delivery())
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    sinks.deliver("here", delivery(job_id="second", reply=StoredReply(200, b"text/csv", b"x" * 50_000)))
except DeliveryFailed as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["folder", "answers.jsonl"])
def test_a_disk_that_is_full_keeps_no_half(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    done = subprocess.run([sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True)
    assert "cannot be written to: File too large" in done.stdout
    if name == "folder":
        assert names(path) == [f"{JOB_ID}.json"]
    else:
        assert len(lines(path)) == 1
        assert path.read_bytes().endswith(b"\n")
    assert JSON_REPLY.body in (path / f"{JOB_ID}.json" if name == "folder" else path).read_bytes()
