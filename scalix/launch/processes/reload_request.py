"""What `--reload` does: asks the gateway of a state directory to read its config anew, and tells what came of it."""

import signal
import sys
import time
from pathlib import Path

from scalix.launch.processes.process import identify
from scalix.launch.processes.runfile import FOREIGN_PID, POLICY_FILE, ReloadEntry, RunFile, lock_holder, read_run_file

PATIENCE_S = 15.0
EXIT_NOT_DONE, EXIT_WRONG_CONFIG, EXIT_NOT_RUNNING = 1, 2, 3
_POLL_S = 0.02
# The launcher takes it whether it was started from a terminal, under nohup or in the background.
RELOAD_SIGNAL = signal.SIGUSR1


def reload_gateway(state_dir: Path, patience_s: float = PATIENCE_S) -> int:
    """Returns the exit code: 0 when every worker has the new settings, 2 with every problem of the config on standard
    error and nothing changed, 3 when no gateway runs, 1 otherwise."""
    holder = lock_holder(state_dir)
    if holder is None:
        print(f"no gateway runs from {state_dir}; it reads its config when it starts", file=sys.stderr)
        return EXIT_NOT_RUNNING
    run_file = read_run_file(state_dir)
    launcher = identify(holder) if holder != FOREIGN_PID else None
    if launcher is None or run_file is None or run_file.launcher != launcher:
        print(
            f"the gateway of {state_dir} can't be seen from here, as in a container; reload it there",
            file=sys.stderr,
        )
        return EXIT_NOT_DONE
    if run_file.phase != "ready":
        print(f"the gateway is {run_file.phase}; try again when it is ready", file=sys.stderr)
        return EXIT_NOT_DONE
    try:
        launcher.send(RELOAD_SIGNAL)
    except PermissionError:
        print(f"pid {launcher.pid} belongs to another user; run --reload as that user", file=sys.stderr)
        return EXIT_NOT_DONE
    return _outcome(state_dir, run_file, time.monotonic() + patience_s)


def _outcome(state_dir: Path, before: RunFile, deadline: float) -> int:
    number = before.reload.number if before.reload else 0
    reload: ReloadEntry | None = None
    run_file: RunFile | None = before
    while time.monotonic() < deadline:
        run_file = read_run_file(state_dir)
        reload = run_file.reload if run_file else None
        if reload and reload.number > number:
            break
        time.sleep(_POLL_S)
    else:
        print("the gateway has not answered; see its log", file=sys.stderr)
        return EXIT_NOT_DONE
    if reload.problems:
        for problem in reload.problems:
            print(problem, file=sys.stderr)
        print("nothing was changed", file=sys.stderr)
        return EXIT_WRONG_CONFIG
    for note in reload.notes:
        print(note)
    return _all_have_it(state_dir, reload.number, deadline)


def _all_have_it(state_dir: Path, number: int, deadline: float) -> int:
    from scalix.launch.config.policy_file import taken_by

    waiting: list[str] = []
    while time.monotonic() < deadline:
        run_file = read_run_file(state_dir)
        # A worker that is not ready yet starts with the new settings.
        workers = [worker for worker in run_file.workers if worker.ready] if run_file else []
        waiting = [w.name for w in workers if taken_by(state_dir / POLICY_FILE, w.process.pid) < number]
        if workers and not waiting:
            print(f"in force in {len(workers)} worker{'s' if len(workers) > 1 else ''}")
            return 0
        time.sleep(_POLL_S)
    print(f"{', '.join(waiting) or 'no worker'} has not taken the new settings yet; see the log", file=sys.stderr)
    return EXIT_NOT_DONE
