"""What runs already, and what an earlier run has left: the port, the gateway's state, journals, archives."""

import os
from collections.abc import Iterator
from pathlib import Path

from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.problems import LaunchError
from scalix.launch.processes.ports import check_ui_port, reserve_port
from scalix.launch.processes.runfile import running
from scalix.launch.processes.status import gateway_of_port, look
from scalix.store.journal.journal_file import (
    HEADER_BYTES,
    SET_ASIDE_SUFFIX,
    UNUSABLE_SUFFIX,
    JournalFile,
    UnusableFile,
    open_regular,
    waiting_files,
)


def check_port(case: Case) -> Iterator[Finding]:
    """Whether the port is free, this gateway's, or whose."""
    settings = case.found.settings
    where, run = f"port {settings.port}", running(case.state_dir)
    if run is not None:
        yield Finding("ok", f"port {run.port}", f"the gateway of this state directory has it ({case.state_dir})")
        if settings.port not in (0, run.port):
            yield Finding("note", where, f"the settings name it, and the gateway runs on {run.port}", "restart it")
        return
    try:
        reserve_port(settings.host, settings.port).close()
    except LaunchError as error:
        other = gateway_of_port(settings.port, case.state_dir)
        yield from (Finding.of(one) for one in error.problems)
        if other is not None:
            yield Finding("note", where, f"it is the gateway of the state directory {other}")
        return
    yield Finding("ok", where, f"free on {settings.host}")
    try:
        if case.plan is not None:
            check_ui_port(case.plan.config.policy.ui, settings.host)
    except LaunchError as error:
        yield from (Finding.of(one) for one in error.problems)


def check_gateway(case: Case) -> Iterator[Finding]:
    """Whether a gateway runs from the state directory, and what it says of itself."""
    try:
        status = look(case.state_dir)
    except OSError as error:
        what = f"can't be looked into ({(error.strerror or 'error').lower()})"
        yield Finding("problem", str(case.state_dir), what, "call this as the user who runs the gateway")
        return
    if status.state == "not running":
        ended = f": {status.detail}" if status.detail else ""
        yield Finding("note" if ended else "ok", "gateway", f"none runs from {case.state_dir}{ended}")
    elif status.state == "ready" and status.run_file:
        yield Finding("ok", status.run_file.url, "the gateway is ready")
    else:
        detail = f": {status.detail}" if status.detail else ""
        yield Finding("warning", "gateway", f"it is {status.state}{detail}", "look into its log")
    for name, value in status.alarms.items():
        yield Finding("warning", "gateway", f"{name} is {value}", "docs/operating.md says what it means")


def check_left(case: Case) -> Iterator[Finding]:
    """Journals whose usage is not counted yet, and files that nobody will read again."""
    journals, archive = case.state_dir / "journal", case.state_dir / "archive"
    try:
        waiting = [path for path in waiting_files(journals) if _bytes_waiting(path)]
        others = [path for suffix in (SET_ASIDE_SUFFIX, UNUSABLE_SUFFIX) for path in journals.glob(f"*{suffix}*")]
        drafts = list(archive.glob("*.draft"))
    except OSError as error:
        yield Finding("warning", str(journals), f"can't be read ({error.strerror})", "call this as the gateway's user")
        return
    if waiting:
        size = sum(map(_bytes_waiting, waiting))
        what = f"{len(waiting)} journal file(s) with {size:,} bytes of usage that the store has not counted yet"
        fix = "keep them: a gateway that runs from here counts them once the store is there"
        yield Finding("warning", str(journals), what, fix)
    for path in others:
        what = "holds usage that could not be read back"
        yield Finding("warning", str(path), what, "docs/limits.md says how to look into it; then remove it")
    for path in drafts:
        yield Finding("note", str(path), "was left by an archive that was not finished", "it can be removed")
    if not (waiting or others or drafts):
        yield Finding("ok", "journal", "nothing is left to be counted")


def _bytes_waiting(path: Path) -> int:
    """How much of a journal is not marked as counted."""
    try:
        file = JournalFile(path, open_regular(path, os.O_RDONLY))
    except (OSError, UnusableFile):
        return 0
    try:
        return file.size - max(file.done, HEADER_BYTES) if file.size > HEADER_BYTES else 0
    finally:
        file.close()
