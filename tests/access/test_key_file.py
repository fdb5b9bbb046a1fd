"""The file of API keys, and what becomes of the keys when it changes."""

import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.access.api_keys import ApiKey, stated_keys
from septet.access.key_file import MOST_FILE_BYTES, MOST_KEYS, read_keys
from septet.access.watched_keys import LOOK_SECONDS, WatchedKeys
from septet.errors import SettingsInvalid
from tests.budgets import examples

SHA = "0a" * 32
SECRET = "septet_this-is-a-key-and-not-a-digest"


def entry(name: str = "shop", sha256: str = f'"{SHA}"', more: str = "") -> str:
    return f'[[keys]]\nname = "{name}"\nsha256 = {sha256}\n{more}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def test_a_file_has_keys_with_their_limits(file: Path) -> None:
    file.write_text(entry(more="requests_per_second = 2\nin_flight = 3") + entry("b", f'["{SHA}", "{"0b" * 32}"]'))
    a, b = bytes.fromhex(SHA), bytes.fromhex("0b" * 32)
    assert read_keys(file) == (ApiKey("shop", (a,), 2.0, 3), ApiKey("b", (a, b)))


def test_a_file_may_let_nobody_in(file: Path) -> None:
    file.write_text("keys = []")
    assert read_keys(file) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys = 1",
        f"{SECRET}",
        f'key = "{SECRET}"',
        entry(sha256=f'"{SECRET}"'),
        entry(sha256="[]"),
        entry(sha256=f'"{SHA.upper()}"'),
        entry(sha256=f'"{SHA}\\n"'),
        entry(name="a b"),
        entry(name=""),
        entry(more=f'key = "{SECRET}"'),
        entry(more=f'more = "{SECRET}'),
        entry(more="requests_per_second = 0"),
        entry(more="requests_per_second = nan"),
        entry(more="in_flight = 0"),
        entry(more="in_flight = 1.5"),
        entry() + entry(),
        "[[keys]]\n" * 2,
        "keys = " + "[" * 100_000,
    ],
)
def test_a_broken_file_is_refused_without_its_content(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsInvalid) as caught:
        read_keys(file)
    assert str(file) in caught.value.message
    assert SECRET not in caught.value.message


@settings(max_examples=examples(100))
@given(st.binary(max_size=200))
def test_bytes_are_keys_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.toml"
    file.write_bytes(content)
    try:
        read_keys(file)
    except SettingsInvalid as error:
        assert str(file) in error.message  # noqa: PT017 - whatever is refused is refused so


def test_a_file_without_bounds_is_refused(file: Path) -> None:
    file.write_text("".join(entry(f"n{at}") for at in range(MOST_KEYS + 1)))
    with pytest.raises(SettingsInvalid, match=str(MOST_KEYS)):
        read_keys(file)
    file.write_text("#" * (MOST_FILE_BYTES + 1))
    with pytest.raises(SettingsInvalid, match="bytes"):
        read_keys(file)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "nothing"):
        with pytest.raises(SettingsInvalid):
            read_keys(path)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_keys_follow_their_file_and_stay_where_it_is_broken(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("septet"), "propagate", True)
    clock = Clock()
    file.write_text(entry("old"))
    keys = WatchedKeys(stated_keys([f"mine=sha256:{SHA}"]), file, clock=clock)
    assert keys.ring.names == ("mine", "old")
    file.write_text(entry("new"))
    keys.look_when_due()
    assert keys.ring.names == ("mine", "old"), "the time has not come"
    clock.now += LOOK_SECONDS
    keys.look_when_due()
    assert keys.ring.names == ("mine", "new")
    for broken in ("[[", entry("mine")):
        caplog.clear()
        file.write_text(broken)
        for _ in range(3):
            keys.look()
        assert keys.ring.names == ("mine", "new")
        assert [each.levelname for each in caplog.records] == ["ERROR"]
    caplog.clear()
    file.unlink()
    for _ in range(3):
        keys.look()
    assert keys.ring.names == ("mine", "new")
    assert len(caplog.records) == 1
    file.write_text("keys = []")
    keys.look()
    assert list(keys.ring.names) == ["mine"]


def test_a_name_of_the_settings_is_not_in_the_file_as_well(file: Path) -> None:
    file.write_text(entry("mine"))
    with pytest.raises(SettingsInvalid, match="mine"):
        WatchedKeys(stated_keys([f"mine=sha256:{SHA}"]), file)
