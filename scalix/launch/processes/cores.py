"""How many workers a machine or container has cores and memory for."""

import os
from pathlib import Path

# What a worker has in memory, and room for what it serves.
WORKER_MIB = 512
MOST_BY_DEFAULT = 16
_CGROUP = Path("/sys/fs/cgroup")
_MIB = 2**20


def default_workers() -> int:
    """One worker for each core that this process may use, fewer where memory is short, at least one."""
    return max(1, min(cores(), memory_mib() // WORKER_MIB, MOST_BY_DEFAULT))


def cores(cgroup: Path = _CGROUP) -> int:
    """The number of cores that this process may use, by its CPU affinity and its container's quota."""
    pinned = len(os.sched_getaffinity(0))
    quota, _, period = _text(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, min(pinned, int(quota) // int(period)))
    return pinned


def memory_mib(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """The free memory of the machine or container in MiB; a large number where it can't be read."""
    found = [2**20]
    for line in _text(meminfo).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            found.append(int(value.split()[0]) // 1024)
    most, used = _text(cgroup / "memory.max"), _text(cgroup / "memory.current")
    if most.isdigit() and used.isdigit():
        found.append(max(0, int(most) - int(used)) // _MIB)
    return min(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
