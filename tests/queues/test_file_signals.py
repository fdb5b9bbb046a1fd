"""Processes that use one file tell each other of changes."""

import select
import subprocess
import sys
from pathlib import Path

import pytest

from septet.errors import StartupError
from septet.queues.file_signals import FileSignals
from tests.waiting import until

TELLING = """
import sys
from pathlib import Path
from septet.queues.file_signals import FileSignals
signals = FileSignals(Path(sys.argv[1]))
signals.notify()
"""


def told(signals: FileSignals, seconds: float = 0.0) -> bool:
    return bool(select.select([signals], [], [], seconds)[0])


def test_others_hear_of_a_change_and_who_tells_does_not(tmp_path: Path) -> None:
    one, two, three = (FileSignals(tmp_path / "jobs.db") for _ in range(3))
    one.notify()
    assert (told(one), told(two), told(three)) == (False, True, True)
    two.drain()
    assert (told(two), told(three)) == (False, True)
    for each in (one, two, three):
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_listen_holds_nobody_up(tmp_path: Path) -> None:
    one, two = FileSignals(tmp_path / "jobs.db"), FileSignals(tmp_path / "jobs.db")
    for _ in range(10_000):
        one.notify()
    assert told(two)
    two.drain()
    assert not told(two)
    one.notify()
    assert told(two)
    one.close()
    two.close()


def test_another_process_is_heard_and_what_it_leaves_behind_is_removed(tmp_path: Path) -> None:
    here = FileSignals(tmp_path / "jobs.db")
    subprocess.run([sys.executable, "-c", TELLING, str(tmp_path / "jobs.db")], check=True)
    assert told(here, 60.0)
    folder = tmp_path / "jobs.db-signals"
    assert folder.stat().st_mode & 0o777 == 0o700
    # It ended without closing it.
    assert len(list(folder.iterdir())) == 2
    here.notify()
    assert until(lambda: len(list(folder.iterdir())) == 1)
    here.close()
    here.notify()


def test_a_path_that_is_too_long_for_a_socket_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    one, two = FileSignals(folder / "jobs.db"), FileSignals(folder / "jobs.db")
    one.notify()
    assert told(two)
    one.close()
    two.close()
    assert list(folder.iterdir()) == []


def test_where_there_can_be_no_sockets_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.db-signals").write_text("")
    with pytest.raises(StartupError, match="sockets"):
        FileSignals(tmp_path / "jobs.db")
