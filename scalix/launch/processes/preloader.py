"""The preloader: a process that loads the app's modules once and forks workers from itself. A forked worker starts in a
fraction of the time, and shares the memory of what was loaded.

Run by the launcher as `python -m scalix.launch.processes.preloader --control N --ready-fd M`. It has one thread, no
event loop, no connection and no file open but its control socket, so that a fork of it is as good as a new process. It
forks twice: a worker whose parent is gone becomes a child of the launcher, its subreaper, and so lives and dies with
the launcher.
"""

import gc
import importlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scalix.launch.processes.child_process import descriptors, end_with
from scalix.launch.processes.signals import EXIT_CANT_LOAD
from scalix.launch.processes.worker import DEFAULT_APP, leave
from scalix.launch.processes.worker import main as serve

# Descriptors that come with an order, in this order.
STDOUT, STDERR, READY, LISTENER = range(4)
_MOST_BYTES = 256
_ADOPTION_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Load the app, say that it is loaded, and fork a worker for each order of the launcher. Returns the exit code."""
    control_fd, ready_fd = descriptors("preloader", "--control", "the socket that orders come by", arguments)
    try:
        _preload(os.environ.get("SCALIX_APP", DEFAULT_APP))
    except Exception:
        traceback.print_exc()
        return EXIT_CANT_LOAD
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        print("preloader: what was loaded has begun threads, so workers are not forked from it", file=sys.stderr)
        return EXIT_CANT_LOAD
    launcher = os.getppid()
    gc.collect()
    # The collector writes into every object that it looks at, and a page that is written to is no longer shared.
    gc.freeze()
    os.write(ready_fd, b"ready\n")
    os.close(ready_fd)
    with socket.socket(fileno=control_fd) as control:
        control.set_inheritable(False)
        while True:
            order, fds, _, _ = socket.recv_fds(control, _MOST_BYTES, LISTENER + 1)
            if not order:
                return 0
            pid = _fork_twice(control, fds, launcher)
            for fd in fds:
                os.close(fd)
            control.send(str(pid).encode())


def _preload(name: str) -> None:
    """Import the app's module, and call its function `preload` if it has one."""
    import httptools  # noqa: F401
    import uvicorn  # noqa: F401
    import uvloop  # noqa: F401

    module = importlib.import_module(name.partition(":")[0])
    if hasattr(module, "preload"):
        module.preload()


def _fork_twice(control: socket.socket, fds: Sequence[int], launcher: int) -> int:
    """Fork a worker whose parent is the launcher. Returns its pid, 0 where none could be made."""
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            worker = os.fork()
        except OSError:
            os._exit(1)
        if worker:
            os.write(writer, str(worker).encode())
            os._exit(0)
        _become_worker(control, fds, (reader, writer), launcher)
    os.close(writer)
    os.waitpid(between, 0)
    pid = int(os.read(reader, 32) or b"0")
    os.close(reader)
    return pid


def _become_worker(control: socket.socket, fds: Sequence[int], pipe: tuple[int, int], launcher: int) -> NoReturn:
    code = EXIT_CANT_LOAD
    try:
        os.setsid()
        os.dup2(fds[STDOUT], 1)
        os.dup2(fds[STDERR], 2)
        for fd in (fds[STDOUT], fds[STDERR], *pipe):
            os.close(fd)
        control.close()
        deadline_s = time.monotonic() + _ADOPTION_S
        while os.getppid() != launcher and time.monotonic() < deadline_s:
            time.sleep(0.001)
        end_with(launcher, signal.SIGTERM)
        code = serve(["--fd", str(fds[LISTENER]), "--ready-fd", str(fds[READY])])
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


if __name__ == "__main__":
    sys.exit(main())
