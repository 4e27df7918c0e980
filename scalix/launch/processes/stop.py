"""What `--stop` does: ends the gateway of a state directory, and nothing else."""

import signal
import sys
import time
from pathlib import Path

from scalix.launch.processes.process import ProcessIdentity, identify
from scalix.launch.processes.runfile import FOREIGN_PID, RunFile, lock_holder, read_run_file, remove_run_file

PATIENCE_S = 15.0
# Children of a killed launcher get SIGTERM from the kernel; the store then writes what it has.
_AFTER_KILL_S = 2.0
_POLL_S = 0.02


def stop_gateway(state_dir: Path, patience_s: float = PATIENCE_S) -> int:
    """Stop the gateway of `state_dir` and wait until it has gone, `patience_s` seconds at most before it is killed.

    Returns the exit code: 0 when nothing runs any more, 1 when it could not be stopped. Only the process that holds
    the directory's lock is signalled: the kernel says which that is, so no pid in a file is taken at its word.
    """
    holder = lock_holder(state_dir)
    if holder is None:
        remove_run_file(state_dir)
        print(f"no gateway runs from {state_dir}")
        return 0
    launcher = identify(holder) if holder != FOREIGN_PID else None
    if launcher is None or lock_holder(state_dir) != holder:
        if lock_holder(state_dir) is None:
            print("the gateway has just stopped by itself")
            return 0
        print(
            f"the gateway of {state_dir} runs where this command can't see it, as in a container; stop it there",
            file=sys.stderr,
        )
        return 1
    run_file = read_run_file(state_dir)
    try:
        launcher.send(signal.SIGTERM)
    except PermissionError:
        print(f"pid {launcher.pid} belongs to another user; run --stop as that user", file=sys.stderr)
        return 1
    print(f"stopping the gateway, pid {launcher.pid}: requests in flight are finished first", flush=True)
    if _gone([launcher], time.monotonic() + patience_s):
        print("stopped")
        return 0
    # Read again: workers may have been replaced while we waited.
    _kill(launcher, read_run_file(state_dir) or run_file, patience_s)
    remove_run_file(state_dir)
    return 0


def _kill(launcher: ProcessIdentity, run_file: RunFile | None, patience_s: float) -> None:
    workers = [worker.process for worker in run_file.workers] if run_file else []
    helpers = list(run_file.helpers) if run_file else []
    everyone = [launcher, *workers, *helpers]
    for process in (launcher, *workers):
        process.send(signal.SIGKILL)
    if not _gone(everyone, time.monotonic() + _AFTER_KILL_S):
        for process in helpers:
            process.send(signal.SIGKILL)
        _gone(everyone, time.monotonic() + _AFTER_KILL_S)
    count = len(everyone) - 1
    print(f"it did not end within {patience_s:g} s: killed pid {launcher.pid} and its {count} children")


def _gone(processes: list[ProcessIdentity], deadline: float) -> bool:
    while any(process.is_alive() for process in processes):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
