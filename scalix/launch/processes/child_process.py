"""What all children of the launcher share: they end when their parent does, and get descriptors as options."""

import argparse
import ctypes
import os
import signal
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Looked up before any fork: afterwards the loader's lock may be held by a thread that is not there.
_PRCTL = ctypes.CDLL(None).prctl


def die_with_parent(sig: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn` for `subprocess.Popen`: the child gets `sig` as soon as its parent is gone.

    Call this, and start the child, from the main thread: the kernel sends the signal when the *thread* that forked
    ends, so a child started from a helper thread would die with that thread while the process lives on. The child also
    starts with no signal blocked, whatever the parent blocks. Raises RuntimeError outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start the child from the main thread: it would otherwise die with this thread")
    parent_pid = os.getpid()

    def before_exec() -> None:
        end_with(parent_pid, sig)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return before_exec


def end_with(parent_pid: int, sig: int = signal.SIGTERM) -> None:
    """Have the kernel send `sig` to this process when its parent `parent_pid` ends; exit now if it has ended."""
    if _PRCTL(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0) != 0:
        os._exit(127)
    # The parent may have died before the call above, and then the signal never comes.
    if os.getppid() != parent_pid:
        os._exit(127)


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose parent dies. Raises OSError where the system refuses."""
    if _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this system can't make a process the reaper of its descendants")


def descriptors(program: str, first: str, what: str, arguments: list[str] | None) -> tuple[int, int]:
    """The two descriptors that a program of this package was started with: that of its option `first`, which is of
    `what`, and that of `--ready-fd`, which it writes to once it is ready."""
    parser = argparse.ArgumentParser(prog=f"python -m scalix.launch.processes.{program}", allow_abbrev=False)
    parser.add_argument(first, dest="first", type=int, required=True, help=f"descriptor of {what}")
    parser.add_argument("--ready-fd", type=int, required=True, help="descriptor to write to once ready")
    options = parser.parse_args(arguments)
    return options.first, options.ready_fd
