"""What to do when another gateway runs from the state directory, or was killed and its children still run."""

import time
from pathlib import Path
from typing import NoReturn

from scalix.launch.home import IN_CHECKOUT
from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.output import Output
from scalix.launch.processes.runfile import lock_holder, read_run_file
from scalix.launch.processes.signals import STOP_SIGNALS, SignalInbox

# A little longer than a worker may go on without its launcher.
ORPHANS_S = 10.0


def refuse_second_start(state_dir: Path) -> NoReturn:
    """Raise LaunchError with the pid and address of the gateway that runs from `state_dir`."""
    holder, run_file = lock_holder(state_dir), read_run_file(state_dir)
    who = f" with pid {holder}" if holder else ""
    if run_file and run_file.launcher.pid == holder:
        who += f" at {run_file.url}"
    what = f"a gateway{who} already runs from this state directory"
    stop = "--stop" if IN_CHECKOUT else "`scalix stop`"
    fix = f"stop it with {stop}, or set SCALIX_STATE_DIR to another directory for a second gateway"
    raise LaunchError((Problem(str(state_dir), what, fix),))


def wait_for_orphans(state_dir: Path, output: Output, inbox: SignalInbox) -> None:
    """Wait, `ORPHANS_S` at most, for the children of a killed gateway, which finish their requests and have the port.

    Only for those that the run file names, by pid and start time. The caller has the lock of `state_dir`.
    """
    run_file = read_run_file(state_dir)
    if run_file is None:
        return
    left = [entry.process for entry in run_file.workers] + list(run_file.helpers)
    deadline = time.monotonic() + ORPHANS_S
    if any(process.is_alive() for process in left):
        output.say("launcher", "the gateway before this one was killed; waiting for its children to finish")
    while any(process.is_alive() for process in left) and time.monotonic() < deadline:
        if STOP_SIGNALS.intersection(inbox.wait(0.05)):
            raise KeyboardInterrupt
