"""Unix sockets as files: what is in the way, who may connect, and what is left behind."""

import fcntl
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from septet.errors import StartupError
from septet.server.admin_socket import default_admin_path, listening_for_admin
from septet.server.unix_socket import listening_at

NAME = "the socket"


@contextmanager
def listening(path: Path, mode: int = 0o600, backlog: int = 8) -> Iterator[socket.socket]:
    with listening_at(path, mode=mode, backlog=backlog, name=NAME) as made:
        yield made


def refusal(path: Path) -> str:
    with pytest.raises(StartupError) as caught, listening(path):
        pass
    return caught.value.message


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_the_file_has_its_mode_whatever_the_mask_is_and_is_removed(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "a.sock"
    before = os.umask(mask)
    try:
        with listening(path, 0o660):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert not path.exists()
    finally:
        assert os.umask(before) == mask


def test_a_file_that_a_killed_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with listening(path), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))


def test_the_file_of_a_living_server_is_refused_also_where_its_queue_is_full(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with listening(path, backlog=1), ExitStack() as held:
        assert "another server has the socket" in refusal(path)
        for _ in range(10):
            waiting = held.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)  # noqa: FBT003 - the standard library's signature
            waiting.connect_ex(str(path))
        assert "another server has the socket" in refusal(path)
        assert path.is_socket()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("kept")
    folder.mkdir()
    living, link, dangling = tmp_path / "living.sock", tmp_path / "link.sock", tmp_path / "dangling.sock"
    link.symlink_to(file)
    dangling.symlink_to(tmp_path / "nothing")
    with listening(living):
        to_socket = tmp_path / "to.sock"
        to_socket.symlink_to(living)
        for path in (file, folder, link, dangling, to_socket):
            assert "there is something else than a socket" in refusal(path)
        assert living.is_socket()
    assert file.read_text() == "kept"
    assert stat.S_IMODE(file.stat().st_mode) != 0o600
    assert not (tmp_path / "nothing").exists()


def test_a_path_that_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(tmp_path / "nowhere" / "a.sock")
    assert "more than 107 bytes" in refusal(tmp_path / ("x" * 200))
    assert "character of code 0" in refusal(Path("\0hidden"))
    with pytest.raises(StartupError), listening_for_admin(Path("/\0/hidden.sock"), 1):
        pass


def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with listening(path) as first:
        first.close()
        with listening(path):
            pass
        with socket.socket(socket.AF_UNIX) as second:
            second.bind(str(path))
    assert path.is_socket()


def start(path: Path, together: threading.Barrier, outcomes: list[str]) -> None:
    together.wait(20)
    try:
        with listening(path):
            outcomes.append("listens")
            together.wait(20)
    except StartupError as error:
        outcomes.append(error.message.partition(" has ")[0])
        together.wait(20)


def test_of_servers_that_start_together_one_listens(tmp_path: Path) -> None:
    for turn in range(10):
        path = tmp_path / f"{turn}.sock"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))
        barrier, outcomes = threading.Barrier(4), list[str]()
        before = os.umask(0)  # threads share it, so that one alone could leave another's behind
        starting = [threading.Thread(target=start, args=(path, barrier, outcomes)) for _ in range(4)]
        for each in starting:
            each.start()
        for each in starting:
            each.join()
        os.umask(before)
        assert sorted(outcomes) == ["another server"] * 3 + ["listens"]


def test_a_folder_that_somebody_keeps_locked_holds_nobody_up_for_long(tmp_path: Path) -> None:
    locked = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with listening(tmp_path / "a.sock"):
            pass
    finally:
        os.close(locked)


def test_the_admin_socket_needs_a_folder_that_nobody_else_writes_to(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    own = tmp_path / "own"
    (tmp_path / "link").symlink_to(shared)
    for folder in (shared, tmp_path / "link"):
        with pytest.raises(StartupError, match="nobody else may write"), listening_for_admin(folder / "a.sock", 1):
            pass
    with listening_for_admin(own / "a.sock", 1):
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert stat.S_IMODE((own / "a.sock").stat().st_mode) == 0o600


def test_each_unix_socket_has_an_admin_socket_of_its_own(tmp_path: Path) -> None:
    paths = {default_admin_path(tmp_path / "a.sock"), default_admin_path(tmp_path / "b.sock"), default_admin_path(8000)}
    assert len(paths) == 3
    assert all(len(os.fsencode(path.name)) < 30 for path in paths)
