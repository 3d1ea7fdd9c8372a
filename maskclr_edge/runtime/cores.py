"""How many threads a CPU backend gets: one a physical core that this process may use, within its quota.

Backends count the machine's cores. In a container with a quota, or under taskset, that is too many, and their
threads then wait for one another.
"""

import os
from pathlib import Path

ROOT = Path("/")
_SMALL_FILE = 100_000


def default_threads(root: Path = ROOT) -> int:
    """Physical cores in this process's affinity, at most the whole cores of its cgroup's quota; 1 or more."""
    cores = len(_one_a_core(_affinity(), root))
    quota = cgroup_quota(root)
    # a part of a core is no thread: two threads on 1.5 cores are stopped for a quarter of each period
    return cores if quota is None else max(1, min(cores, int(quota)))


def cgroup_quota(root: Path = ROOT) -> float | None:
    """Cores of the tightest CPU quota among this process's cgroups and those above; None for no quota."""
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct") if controllers else ("sys/fs/cgroup",)
        for mount in mounts:
            # inside a container the path may be the host's: the mount itself is then the container's group
            folder = root / mount / path.lstrip("/")
            while folder.is_relative_to(root / mount):
                quotas.append(_quota_of(folder))
                folder = folder.parent
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_of(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split() or [
        _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip(),
    ]  # fmt: skip
    # "max", or -1 in cgroup version 1, is no limit
    if len(words) != 2 or not all(word.isdigit() for word in words) or not int(words[1]):
        return None
    return int(words[0]) / int(words[1])


def _affinity() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _one_a_core(cpus: list[int], root: Path) -> set[str]:
    """The physical cores behind logical CPUs; a CPU that does not say which it shares with counts as one."""
    topology = root / "sys/devices/system/cpu"
    return {_read(topology / f"cpu{cpu}/topology/thread_siblings_list").strip() or f"{cpu}" for cpu in cpus}


def _read(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_SMALL_FILE)
    except OSError:
        return ""
