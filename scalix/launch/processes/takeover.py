"""What a start meets in its state directory: a gateway that runs, or the last children of one that was killed."""

import time
from pathlib import Path
from typing import NoReturn

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.output import Output
from scalix.launch.processes.ports import base_url
from scalix.launch.processes.runfile import lock_holder, read_run_file
from scalix.launch.processes.signals import STOP_SIGNALS, SignalInbox

# The longest that a worker lives on without its launcher, and a little.
LEAVINGS_S = 10.0


def refuse_second_start(state_dir: Path) -> NoReturn:
    """Raises LaunchError that names the gateway which has `state_dir`."""
    holder, run_file = lock_holder(state_dir), read_run_file(state_dir)
    who = f" with pid {holder}" if holder else ""
    if run_file and run_file.launcher.pid == holder:
        who += f" at {base_url(run_file.host, run_file.port)}"
    raise LaunchError(
        (
            Problem(
                str(state_dir),
                f"a gateway{who} already runs from this state directory",
                "stop it with --stop, or set SCALIX_STATE_DIR to another directory for a second gateway",
            ),
        )
    )


def wait_for_leavings(state_dir: Path, output: Output, inbox: SignalInbox) -> None:
    """Wait for the children of a killed gateway, which finish their requests and still have the port.

    For holders of the lock. Bounded by `LEAVINGS_S`; only those that the run file names, by pid and start time.
    """
    run_file = read_run_file(state_dir)
    if run_file is None:
        return
    left = [entry.process for entry in run_file.workers] + list(run_file.helpers)
    deadline = time.monotonic() + LEAVINGS_S
    if any(process.is_alive() for process in left):
        output.say("launcher", "the gateway before this one was killed; waiting for its children to finish")
    while any(process.is_alive() for process in left) and time.monotonic() < deadline:
        if any(signum in STOP_SIGNALS for signum in inbox.wait(0.05)):
            raise KeyboardInterrupt
