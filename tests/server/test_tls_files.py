"""Which files of TLS are read again, and when."""

import logging
import os
from pathlib import Path

import pytest

from septet.errors import StartupError
from septet.server.tls_files import GRPC, HTTP, TlsFiles
from septet.settings import Server
from tests.e2e.certificates import Authority

KEPT, SWITCHED = "go on with the TLS files", "use the TLS files that have changed"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority", "ours")


@pytest.fixture
def served(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    return issued(authority, tmp_path, "first")


def issued(authority: Authority, folder: Path, name: str) -> tuple[Path, Path]:
    """A new pair in the place of the served one."""
    pair = folder / "served.pem", folder / "served.key"
    for new, place in zip(authority.issue(name), pair, strict=True):
        place.write_bytes(new.read_bytes())
    return pair


def files_of(pair: tuple[Path, Path], authority: Path | None = None) -> TlsFiles:
    ca = None if authority is None else str(authority)
    return TlsFiles(Server(tls_certificate=str(pair[0]), tls_key=str(pair[1]), tls_client_ca=ca))


def test_what_has_changed_is_read_once_it_is_the_same_in_two_looks(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "septet.server")
    files = files_of(served)
    first = files.context(HTTP), files.context(GRPC)
    files.look()
    issued(authority, tmp_path, "second")
    files.look()
    assert (files.context(HTTP), files.context(GRPC)) == first
    files.look()
    assert files.context(HTTP) is not first[0]
    assert files.context(GRPC) is not first[1]
    files.look()
    assert caplog.text.count(SWITCHED) == 1


def test_whoever_asks_for_it_does_not_wait_for_a_second_look(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    files = files_of(served)
    first = files.context(HTTP)
    issued(authority, tmp_path, "second")
    files.look(settled=False)
    assert files.context(HTTP) is not first


@pytest.mark.parametrize("place", ["certificate", "key", "authority"])
@pytest.mark.parametrize("fault", ["empty", "gone", "pipe", "folder", "garbage"])
def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    authority: Authority, served: tuple[Path, Path], caplog: pytest.LogCaptureFixture, place: str, fault: str
) -> None:
    files = files_of(served, authority.certificate)
    first = files.context(HTTP)
    broken = {"certificate": served[0], "key": served[1], "authority": authority.certificate}[place]
    broken.unlink()
    match fault:
        case "empty":
            broken.touch()
        case "pipe":
            os.mkfifo(broken)
        case "folder":
            broken.mkdir()
        case "garbage":
            broken.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for _ in range(4):
        files.look()
    assert files.context(HTTP) is first
    assert caplog.text.count(KEPT) == 1
    assert str(broken) in caplog.text


def test_a_start_with_files_that_do_not_fit_is_refused(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    other = authority.issue("other")
    with pytest.raises(StartupError, match=r"TLS cannot be served with .*served\.pem"):
        files_of((served[0], other[1]))
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(StartupError, match=r"callers' certificates cannot be checked with .*empty\.pem"):
        files_of(served, empty)
