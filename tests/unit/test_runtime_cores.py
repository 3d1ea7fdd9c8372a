"""Thread counts from what a machine's files say, as containers and taskset leave them."""

import os
from pathlib import Path

import pytest

from maskclr_edge.runtime import cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight logical CPUs on four cores, all usable, no quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for cpu in range(8):
        write(
            tmp_path,
            f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list",
            f"{cpu % 4},{cpu % 4 + 4}",
        )
    write(tmp_path, "proc/self/cgroup", "0::/pod/box")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text + "\n")


def test_two_hyperthreads_are_one_core(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores.default_threads(machine) == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 4, 5}, raising=False)
    assert cores.default_threads(machine) == 2


@pytest.mark.parametrize(
    ("quota", "threads"), [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("nonsense", 4)]
)
@pytest.mark.parametrize("group", ["pod/box/", "pod/", ""])
def test_a_quota_of_any_group_above_holds(machine: Path, group: str, quota: str, threads: int) -> None:
    write(machine, f"sys/fs/cgroup/{group}cpu.max", quota)
    assert cores.default_threads(machine) == threads


def test_the_tightest_quota_holds(machine: Path) -> None:
    write(machine, "sys/fs/cgroup/cpu.max", "300000 100000")
    write(machine, "sys/fs/cgroup/pod/cpu.max", "200000 100000")
    assert cores.cgroup_quota(machine) == 2
    assert cores.default_threads(machine) == 2


@pytest.mark.parametrize(("quota", "threads"), [("-1", 4), ("150000", 1), ("300000", 3)])
def test_quota_of_cgroup_version_1(machine: Path, quota: str, threads: int) -> None:
    write(machine, "proc/self/cgroup", "9:memory:/other\n2:cpuacct,cpu:/docker/abc\n0::/")
    # a container sees its own group at the mount, though its path is the host's
    write(machine, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota)
    write(machine, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert cores.default_threads(machine) == threads


def test_a_machine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.default_threads(tmp_path) == 1


def test_this_machine() -> None:
    assert 1 <= cores.default_threads() <= (os.cpu_count() or 1)
