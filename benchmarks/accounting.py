"""Reads CPU time, memory and children of processes from the kernel (Linux)."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STORE_PROGRAMS = ("valkey-server", "redis-server")


@dataclass(frozen=True, slots=True)
class Stat:
    """A line of /proc/<pid>/stat. `cpu_ticks` is user and system time; `reaped_ticks` that of children waited for."""

    pid: int
    program: str
    parent: int
    cpu_ticks: int
    reaped_ticks: int
    rss_bytes: int


def parse_stat(line: str) -> Stat:
    """See proc(5). The program's name stands in brackets and may hold brackets and spaces itself."""
    before, _, after = line.rpartition(")")
    pid, _, program = before.partition(" (")
    fields = after.split()  # from field 3 on
    user, system, reaped_user, reaped_system = (int(fields[index]) for index in (11, 12, 13, 14))
    return Stat(
        pid=int(pid),
        program=program,
        parent=int(fields[1]),
        cpu_ticks=user + system,
        reaped_ticks=reaped_user + reaped_system,
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def read_stats() -> dict[int, Stat]:
    """All visible processes, by pid."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
            except OSError:
                continue  # it has ended meanwhile
    return found


def tree(root: int, stats: dict[int, Stat]) -> list[Stat]:
    """`root` and all its living descendants."""
    members, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        if pid in stats:
            members.append(stats[pid])
            waiting += [stat.pid for stat in stats.values() if stat.parent == pid]
    return members


def cpu_ns(stat: Stat) -> int:
    """CPU time of a process with all its threads, ended ones too, and of the children that it has waited for.

    The process's CPU clock (clock_getcpuclockid(3)) is what utime + stime are made of, in nanoseconds in place of
    ticks of 10 ms.
    """
    reaped_ns = stat.reaped_ticks * 1_000_000_000 // TICKS_PER_S
    try:
        return time.clock_gettime_ns((~stat.pid << 3) | 2) + reaped_ns
    except OSError:
        return stat.cpu_ticks * 1_000_000_000 // TICKS_PER_S + reaped_ns


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU time of a peer and of its store, and the peer's memory, at one moment."""

    serving_cpu_ns: int
    store_cpu_ns: int
    rss_bytes: int

    def since(self, before: "Usage") -> "Usage":
        """The CPU time between `before` and now, and the memory now."""
        return Usage(
            self.serving_cpu_ns - before.serving_cpu_ns, self.store_cpu_ns - before.store_cpu_ns, self.rss_bytes
        )


def usage(roots: Iterable[int]) -> Usage:
    """What the process trees under `roots` have used so far; a Valkey or Redis server among them is the store."""
    stats = read_stats()
    members = {stat.pid: stat for root in roots for stat in tree(root, stats)}.values()
    stores = [stat for stat in members if stat.program in STORE_PROGRAMS]
    serving = [stat for stat in members if stat.program not in STORE_PROGRAMS]
    return Usage(sum(map(cpu_ns, serving)), sum(map(cpu_ns, stores)), sum(stat.rss_bytes for stat in serving))


def pin(pid: int, cores: set[int]) -> None:
    """Pin a running process with all its threads to `cores`."""
    for thread in (PROC / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
