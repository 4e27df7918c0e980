"""The machine: room on its disks, who may read the gateway's files, memory, open files, versions."""

import os
import re
import resource
import shutil
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.home import CODE
from scalix.launch.problems import shown_path
from scalix.launch.processes.cores import cores, memory_mib
from scalix.launch.processes.plan import versions
from scalix.launch.processes.runfile import running
from scalix.launch.settings.master_key import MASTER_KEY_FILE

_LEAST_MIB, _LITTLE_MIB = 100, 1024
# What the first worker has in memory, and what each other one adds.
_FIRST_WORKER_MIB, _NEXT_WORKER_MIB = 500, 350
_OPEN_FILES = 4096
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([\w.+!-]+)", re.MULTILINE)


def check_disk(case: Case) -> Iterator[Finding]:
    """Room where the gateway writes: state and journal, archive, log."""
    log = case.found.settings.log_file.parent
    for name, path in (("state", case.state_dir), ("archive", case.state_dir / "archive"), ("log", log)):
        # Not by `Path.exists`, which stumbles over a directory that this user may not look into.
        there = next(place for place in (path.absolute(), *path.absolute().parents) if os.access(place, os.F_OK))
        if name == "archive" and there != path.absolute():
            continue
        free_mib = shutil.disk_usage(there).free // 2**20
        where, what = f"{name} {path}", f"{free_mib:,} MB free on its disk"
        if not os.access(there, os.W_OK | os.X_OK):
            yield Finding("problem", where, "this user may not write there", "give this user the right to it")
        elif free_mib < _LEAST_MIB or not os.statvfs(there).f_favail:
            fix = "make room: without it nothing can be noted while the store is away"
            yield Finding("problem", where, what, fix)
        elif free_mib < _LITTLE_MIB:
            yield Finding("warning", where, what, "make room before it is full")
        else:
            yield Finding("ok", where, what)


def check_modes(case: Case) -> Iterator[Finding]:
    """Who beside the gateway's user may read its secrets, or change its config."""
    files = case.found.environment
    private = [case.state_dir / MASTER_KEY_FILE, *files.sources, *files.secret_files.values()]
    if case.found.settings.tls is not None:
        private.append(case.found.settings.tls.private_key)
    refused = {one.fix for one in case.found.problems}  # such as an env file that everybody may read
    said = False
    for path in [case.state_dir, *private, case.found.settings.config_path]:
        try:
            facts = path.stat()
        except OSError:
            continue
        mode, fix = stat.S_IMODE(facts.st_mode), ""
        if path == case.found.settings.config_path:
            if case.production and mode & 0o022:
                fix, what = f"run chmod go-w {path}", "other users may change the config"
        elif mode & 0o077 and not (path in private and mode & 0o077 == 0o040):  # a group of its own may read
            fix = f"run chmod {'700' if path == case.state_dir else '600'} {path}"
            what = f"other users of this machine may read it (mode {mode:o})"
        if fix:
            said = True
            if fix.replace(str(path), shown_path(path)) not in refused:
                yield Finding("problem" if case.production else "warning", str(path), what, fix)
    if not said:
        yield Finding("ok", "modes", "state, env files and keys are this user's alone")


def check_machine(case: Case) -> Iterator[Finding]:
    """Memory for the workers, and files that a process may have open."""
    workers = case.found.settings.workers
    need_mib, free_mib = _FIRST_WORKER_MIB + (workers - 1) * _NEXT_WORKER_MIB, memory_mib()
    what = f"{workers} workers need about {need_mib:,} MB; {free_mib:,} MB are free"
    if running(case.state_dir) is None and need_mib > free_mib:
        yield Finding("warning", "memory", what, "set LITELLM_MAX_WORKERS to fewer")
    elif workers > cores():
        fix = "more workers than cores serve no more requests; set LITELLM_MAX_WORKERS"
        yield Finding("note", "workers", f"{workers} workers share {cores()} cores", fix)
    else:
        yield Finding("ok", "memory", what)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # which a start makes use of
    if most != resource.RLIM_INFINITY and most < _OPEN_FILES:
        fix = f"run ulimit -Hn {_OPEN_FILES} before the start, or set LimitNOFILE= in the unit"
        yield Finding("warning", "open files", f"a process may have {most:,} files and connections open", fix)
    else:
        yield Finding("ok", "open files", f"up to {most:,}" if most != resource.RLIM_INFINITY else "without bound")


def check_versions(case: Case) -> Iterator[Finding]:
    """Whether the packages are those that the gateway is tested with."""
    lock, pinned = CODE / "requirements.lock", dict[str, list[str]]()
    for name, wanted in _PINNED.findall(lock.read_text(encoding="utf-8")) if lock.is_file() else ():
        pinned.setdefault(name, []).append(wanted)  # one for each Python
    others = {name: here for name, wanted in pinned.items() if (here := _installed(name)) not in ("", *wanted)}
    for name, here in others.items():
        what = f"{name} is {here}, and the gateway is tested with {' or '.join(pinned[name])}"
        yield Finding("warning", "packages", what, f"run pip install -r {lock}")
    if not others:
        yield Finding("ok", "packages", versions())


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # for other systems, or checked by the start
        return ""
