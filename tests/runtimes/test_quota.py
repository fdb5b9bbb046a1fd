"""The CPUs that a process may use are those of its own control groups, in either version of the interface."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from septet.runtimes.quota import cpus, threads_for

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct"
OTHERS = [
    "23 28 0:21 / /proc rw,relatime - proc proc rw",
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
    "nonsense",
]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had sixteen CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


class Tree:
    """The files that the kernel shows a process."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def process(self, groups: list[str], mounts: list[str]) -> "Tree":
        folder = self.root / "proc/self"
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text("".join(f"{line}\n" for line in groups))
        (folder / "mountinfo").write_text("".join(f"{line}\n" for line in [*OTHERS, *mounts]))
        return self

    def v2(self, group: str, text: str, mounted: str = "sys/fs/cgroup") -> "Tree":
        folder = self.root / mounted / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(text)
        return self

    def v1(self, group: str, quota: str, period: str = "100000\n") -> "Tree":
        folder = self.root / "sys/fs/cgroup/cpu,cpuacct" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.cfs_quota_us").write_text(quota)
        (folder / "cpu.cfs_period_us").write_text(period)
        return self

    @property
    def cpus(self) -> int:
        return cpus(self.root)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_container_sees_its_own_group_as_the_root(tree: Tree) -> None:
    assert tree.process(["0::/"], [V2]).v2("", "300000 100000\n").cpus == 3


def test_the_quota_of_a_service_is_that_of_its_group(tree: Tree) -> None:
    tree.process(["0::/system.slice/septet.service"], [V2])
    assert tree.v2("system.slice/septet.service", "150000 100000\n").cpus == 2


def test_the_smallest_quota_on_the_way_to_the_root_counts(tree: Tree) -> None:
    tree.process(["0::/pod/box/app"], [V2])
    tree.v2("pod", "200000 100000").v2("pod/box", "max 100000").v2("pod/box/app", "800000 100000")
    assert tree.v2("pod/other", "100000 100000").cpus == 2


def test_the_older_interface_is_read_in_the_process_own_group(tree: Tree) -> None:
    tree.process(["4:cpuset:/", "3:cpu,cpuacct:/kube/pod", "1:name=systemd:/x"], [V1])
    assert tree.v1("", "-1\n").v1("kube", "400000\n").v1("kube/pod", "600000\n", "200000\n").cpus == 3


def test_both_interfaces_may_stand_beside_each_other(tree: Tree) -> None:
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    tree.process(["3:cpu,cpuacct:/a", "0::/b"], [V1, unified]).v1("a", "500000\n")
    (tree.root / "sys/fs/cgroup/unified/b").mkdir(parents=True)
    assert tree.cpus == 5
    assert tree.v2("b", "200000 100000", "sys/fs/cgroup/unified").cpus == 2


def test_a_mount_may_begin_at_a_group(tree: Tree) -> None:
    mounted = V1.replace("0:29 / ", "0:29 /docker/ab ")
    assert tree.process(["3:cpu,cpuacct:/docker/ab/in"], [mounted]).v1("in", "200000\n").v1("", "400000\n").cpus == 2


def test_a_mount_of_another_group_says_nothing(tree: Tree) -> None:
    mounted = V2.replace("0:26 / ", "0:26 /docker/ab ")
    assert tree.process(["0::/docker/abc"], [mounted]).v2("", "200000 100000").cpus == 16
    outside = Tree(tree.root / "outside").process(["0::/../else"], [V2])
    assert outside.v2("", "200000 100000").cpus == 16


def test_names_with_spaces_are_written_in_octal(tree: Tree) -> None:
    mounted = V2.replace("/sys/fs/cgroup", r"/my\040groups")
    assert tree.process(["0::/a b"], [mounted]).v2("a b", "200000 100000", "my groups").cpus == 2


def test_a_group_that_cannot_be_seen_has_the_quotas_of_those_above(tree: Tree) -> None:
    assert tree.process(["0::/pod/gone"], [V2]).v2("pod", "200000 100000").cpus == 2


@pytest.mark.parametrize("text", ["100000 100000\n", "50000 100000\n", "1000 100000\n"])
def test_a_quota_of_one_or_a_part_of_one_is_one(tree: Tree, text: str) -> None:
    assert tree.process(["0::/a"], [V2]).v2("a", text).cpus == 1


@pytest.mark.parametrize(
    "text", ["max 100000\n", "max\n", "", "x y\n", "100000 0\n", "0 100000\n", "100000000 100000\n"]
)
def test_without_a_quota_that_can_be_read_it_is_what_the_system_allows(tree: Tree, text: str) -> None:
    assert tree.process(["0::/a"], [V2]).v2("a", text).cpus == 16


def test_no_quota_in_the_older_interface(tree: Tree) -> None:
    assert tree.process(["3:cpu,cpuacct:/a"], [V1]).v1("a", "-1\n").cpus == 16


def test_a_system_without_control_groups_has_no_quota(tree: Tree) -> None:
    assert tree.cpus == 16


def test_workers_share_the_cpus_and_each_has_at_least_one() -> None:
    assert threads_for(1) == cpus()
    assert threads_for(10_000) == 1
    assert threads_for(4, wanted=3) == 3


@pytest.fixture
def real_group() -> Iterator[Path]:
    """A group of half a CPU, where this machine lets its user make one."""
    for base, write in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": "50000 100000"}),
    ):
        group = base / f"septet-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, text in write.items():
                (group / name).write_text(text)
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group can be made here")


def test_a_process_in_a_real_group_has_its_quota(real_group: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid())); "
        "os.sched_getaffinity = lambda _: range(16); from septet.runtimes.quota import cpus; print(cpus())"
    )
    done = subprocess.run([sys.executable, "-c", code, real_group], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
