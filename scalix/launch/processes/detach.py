"""Runs the gateway in the background. The command returns when it is ready, or with its errors and exit code."""

import os
import signal
import sys
from collections.abc import Callable

EXIT_DIED = 1


def run_detached(run: Callable[[Callable[[], None]], int]) -> int:
    """Call `run(on_ready)` in a daemon; returns 0 once it has called `on_ready`, else the exit code that it returned.

    Until `on_ready` the daemon writes to the caller's own terminal. Must be called before any thread is started.
    """
    read_fd, write_fd = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        os.setsid()
        _be_the_daemon(run, write_fd)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as pipe:
        try:
            code = pipe.readline()
        except KeyboardInterrupt:
            # Ctrl-C while waiting: the daemon is in another session and has not heard it.
            os.kill(pid, signal.SIGTERM)
            code = pipe.readline()
    if not code:
        print("the gateway died while it was starting; see its log", file=sys.stderr)
        return EXIT_DIED
    return int(code)


def _be_the_daemon(run: Callable[[Callable[[], None]], int], status_fd: int) -> None:
    """Run in this process, and report to `status_fd` the exit code, or 0 when ready. Never returns."""
    code = EXIT_DIED
    reported = False

    def report(result: int) -> None:
        nonlocal reported
        if not reported:
            os.write(status_fd, b"%d\n" % result)
            os.close(status_fd)
        reported = True

    def on_ready() -> None:
        _to_nowhere(1, 2)
        report(0)

    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _to_nowhere(0)
        code = run(on_ready)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        report(code)
        os._exit(code)


def _to_nowhere(*fds: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    os.close(null)
