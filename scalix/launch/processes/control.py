"""`--stop` and `--reload`: signal the launcher of a state directory and wait for the outcome."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scalix.launch.processes.drain import waits_for
from scalix.launch.processes.process import ProcessIdentity, identify
from scalix.launch.processes.runfile import POLICY_FILE, RunFile, lock_holder, read_run_file, remove_run_file
from scalix.launch.processes.signals import HURRY_SIGNAL

PATIENCE_S = 15.0
EXIT_NOT_DONE, EXIT_WRONG_CONFIG, EXIT_NOT_RUNNING = 1, 2, 3
# Children of a killed launcher get SIGTERM from the kernel; the store then writes what it has.
_AFTER_KILL_S = 2.0
_POLL_S = 0.02
_SAY_EVERY_S = 3.0
# One that does not is killed, and its replacement is given up.
_A_WORKER_STARTS_WITHIN_S = 130.0
_ENDED = "the gateway ends, or has ended, meanwhile; it reads its config when it starts"
_ENDING = ("draining", "stopping")


def stop_gateway(state_dir: Path, patience_s: float = PATIENCE_S, *, now: bool = False) -> int:
    """Stop the gateway of `state_dir` and wait until it has gone; with `now`, what is in flight is cut.

    It has `patience_s` seconds to begin, and as long as it grants its requests to end, before it is killed.

    Returns the exit code: 0 when nothing runs any more, 1 when it could not be stopped. Only the process that holds
    the directory's lock is signalled: the kernel says which that is, so no pid in a file is taken at its word.
    """
    holder = lock_holder(state_dir)
    if holder is None:
        remove_run_file(state_dir)
        print(f"no gateway runs from {state_dir}")
        return 0
    launcher = identify(holder) if holder else None
    holds_now = lock_holder(state_dir)
    if holds_now is None:
        print("the gateway has just stopped by itself")
        return 0
    run_file = read_run_file(state_dir)
    if launcher is None or holds_now != holder:
        return _out_of_sight(state_dir, "stop")
    # A second SIGTERM would cut the requests that the first one lets finish.
    is_stopping = run_file is not None and run_file.phase in _ENDING
    if (now or not is_stopping) and not _signalled(launcher, HURRY_SIGNAL if now else signal.SIGTERM, "stop"):
        return EXIT_NOT_DONE
    how = "requests in flight are cut" if now else "requests in flight are finished first"
    print(f"stopping the gateway, pid {launcher.pid}: {how}", flush=True)
    granted_s = _wait_until_gone(state_dir, launcher, patience_s, now=now)
    if granted_s is None:
        print("stopped")
        return 0
    # Read again: workers may have been replaced while we waited.
    _kill(launcher, read_run_file(state_dir) or run_file, granted_s)
    remove_run_file(state_dir)
    return 0


def _wait_until_gone(state_dir: Path, launcher: ProcessIdentity, patience_s: float, *, now: bool) -> float | None:
    """Wait, and say for what. Returns `None` when it has gone, else the seconds that were granted in vain."""
    begun_s, say_at_s = time.monotonic(), time.monotonic() + _SAY_EVERY_S
    granted_s = patience_s
    while launcher.is_alive():
        time.sleep(_POLL_S)
        clock_s = time.monotonic()
        run_file = read_run_file(state_dir)
        if run_file is not None and run_file.phase in _ENDING and not now:
            granted_s = run_file.drain_s + patience_s
            if run_file.in_flight and clock_s >= say_at_s:
                print(waits_for(run_file.in_flight) + _still(begun_s + run_file.drain_s - clock_s), flush=True)
                say_at_s = clock_s + _SAY_EVERY_S
        if clock_s >= begun_s + granted_s and launcher.is_alive():
            return granted_s
    return None


def _still(left_s: float) -> str:
    return f", for {left_s:.0f} s more at most; --stop --now cuts them" if left_s > 0 else ""


def _kill(launcher: ProcessIdentity, run_file: RunFile | None, patience_s: float) -> None:
    workers = [worker.process for worker in run_file.workers] if run_file else []
    helpers = list(run_file.helpers) if run_file else []
    everyone = [launcher, *workers, *helpers]
    for processes in ([launcher, *workers], helpers):
        for process in processes:
            process.send(signal.SIGKILL)
        if _wait(lambda: not any(process.is_alive() for process in everyone), time.monotonic() + _AFTER_KILL_S):
            break
    count = len(everyone) - 1
    print(f"it did not end within {patience_s:g} s: killed pid {launcher.pid} and its {count} children")


def reload_gateway(state_dir: Path, patience_s: float = PATIENCE_S) -> int:
    """Have the gateway of `state_dir` read its config again, and wait until every worker has the new settings.

    Returns the exit code: 0 when they have, 2 with every problem of the config on standard error and nothing changed,
    3 when no gateway runs, 1 otherwise.
    """
    holder = lock_holder(state_dir)
    if holder is None:
        print(f"no gateway runs from {state_dir}; it reads its config when it starts", file=sys.stderr)
        return EXIT_NOT_RUNNING
    run_file = read_run_file(state_dir)
    launcher = identify(holder) if holder else None
    if launcher is None or run_file is None or run_file.launcher != launcher:
        return _out_of_sight(state_dir, "reload")
    if run_file.phase != "ready":
        return _not_done(f"the gateway is {run_file.phase}; try again when it is ready")
    # The launcher takes it whether it was started from a terminal, under nohup or in the background.
    if not _signalled(launcher, signal.SIGUSR1, "reload"):
        return EXIT_NOT_DONE
    return _outcome(state_dir, run_file, time.monotonic() + patience_s)


def _outcome(state_dir: Path, before: RunFile, deadline_s: float) -> int:
    number = before.reloads

    def has_answered() -> bool:
        nonlocal before
        before = read_run_file(state_dir) or before
        return before.reloads > number or not _goes_on(before)

    if not _wait(has_answered, deadline_s) or before.reload is None or before.reloads == number:
        return _not_done("the gateway has not answered; see its log" if _goes_on(before) else _ENDED)
    if before.reload.problems:
        return _refused(before.reload.problems)
    for note in before.reload.notes:
        print(note, flush=True)
    if before.reload.replaces:
        deadline_s += _A_WORKER_STARTS_WITHIN_S * len(before.workers)
    return _all_have_it(state_dir, before, before.reload.number, deadline_s)


def _refused(problems: tuple[str, ...]) -> int:
    print(*problems, "nothing was changed", sep="\n", file=sys.stderr)
    return EXIT_WRONG_CONFIG


def _goes_on(gateway: RunFile) -> bool:
    return gateway.phase == "ready" and gateway.launcher.is_alive()


def _all_have_it(state_dir: Path, gateway: RunFile, number: int, deadline_s: float) -> int:
    from scalix.launch.config.policy_file import taken_by

    count, waiting, problems = 0, list[str](), tuple[str, ...]()

    def have_it() -> bool:
        nonlocal gateway, count, waiting, problems
        gateway = read_run_file(state_dir) or gateway
        problems = gateway.reload.problems if gateway.reload else ()
        if problems or not _goes_on(gateway):
            return True
        # A worker that is not ready yet starts with the new settings.
        workers = [worker for worker in gateway.workers if worker.ready]
        waiting = [w.name for w in workers if taken_by(state_dir / POLICY_FILE, w.process.pid) < number]
        count = len(workers)
        return bool(workers) and not waiting

    if _wait(have_it, deadline_s):
        if problems:
            return _refused(problems)
        if not _goes_on(gateway):
            return _not_done(_ENDED)
        print(f"in force in {count} worker{'s' if count > 1 else ''}")
        return 0
    return _not_done(f"{', '.join(waiting) or 'no worker'} has not taken the new settings yet; see the log")


def _signalled(launcher: ProcessIdentity, signum: signal.Signals, act: str) -> bool:
    try:
        launcher.send(signum)
    except PermissionError:
        _not_done(f"pid {launcher.pid} belongs to another user; run --{act} as that user")
        return False
    return True


def _out_of_sight(state_dir: Path, act: str) -> int:
    return _not_done(f"the gateway of {state_dir} can't be seen from here, as in a container; {act} it there")


def _not_done(why: str) -> int:
    print(why, file=sys.stderr)
    return EXIT_NOT_DONE


def _wait(is_so: Callable[[], bool], deadline_s: float) -> bool:
    """Wait until `is_so()`, until the monotonic time `deadline_s` at most. Returns whether it is so."""
    while not is_so():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_POLL_S)
    return True
