"""The CPUs that a process may use are those of its control group, in either version of the interface."""

from pathlib import Path

import pytest

from septet.runtimes.quota import cpus, threads_for


def v2(folder: Path, text: str) -> Path:
    (folder / "cpu.max").write_text(text)
    return folder


def v1(folder: Path, quota: str, period: str) -> Path:
    (folder / "cpu").mkdir()
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu" / "cpu.cfs_period_us").write_text(period)
    return folder


@pytest.mark.parametrize("text", ["100000 100000\n", "50000 100000\n", "1000 100000\n"])
def test_a_quota_of_one_or_a_part_of_one_is_one(tmp_path: Path, text: str) -> None:
    assert cpus(v2(tmp_path, text)) == 1


def test_the_older_interface_is_read_too(tmp_path: Path) -> None:
    assert cpus(v1(tmp_path, "50000\n", "100000\n")) == 1


@pytest.mark.parametrize("text", ["max 100000\n", "", "x y\n", "100000 0\n", "100000000 100000\n"])
def test_without_a_quota_that_can_be_read_it_is_what_the_system_allows(tmp_path: Path, text: str) -> None:
    assert cpus(v2(tmp_path, text)) == cpus(tmp_path / "nothing") >= 1


def test_no_quota_in_the_older_interface(tmp_path: Path) -> None:
    assert cpus(v1(tmp_path, "-1\n", "100000\n")) == cpus(tmp_path / "nothing")


def test_workers_share_the_cpus_and_each_has_at_least_one() -> None:
    assert threads_for(1) == cpus()
    assert threads_for(10_000) == 1
    assert threads_for(4, wanted=3) == 3
