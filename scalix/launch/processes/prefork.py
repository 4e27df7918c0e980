"""The launcher's end of the preloader: has workers forked, and knows them as it knows what it started itself."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence

from scalix.launch.processes.child import Child, ChildSpec, Process
from scalix.launch.processes.child_process import adopt_orphans
from scalix.launch.processes.output import Output
from scalix.launch.processes.pump import PipePump

# A fork of some 300 MiB takes 30 ms; a preloader that takes this long is no use.
_PATIENCE_S = 5.0


class Adopted:
    """A child that another process has forked for us. As `subprocess.Popen`, as far as `Child` needs it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; `None` while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._code = 1  # somebody else has buried it
                return self._code
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Until it is buried, which only `poll` does, its pid is nobody else's."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Preloader:
    """The preloader of all workers. Raises OSError where the system has no means for it."""

    def __init__(self, spec: ChildSpec, pump: PipePump, output: Output) -> None:
        adopt_orphans()
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(_PATIENCE_S)
        command = (*spec.command, "--control", str(self._theirs.fileno()))
        fds = (*spec.inherited_fds, self._theirs.fileno())
        environment = {**spec.environment, "OPENBLAS_NUM_THREADS": "1"}  # its thread would not live through a fork
        self.child = Child(
            ChildSpec(spec.name, command, environment, spec.directory, fds, signal.SIGKILL), pump, output
        )

    def fork(self, spec: ChildSpec, stdout: int, stderr: int, ready: int) -> Process | None:
        """A worker on the listening socket that `spec` hands down; `None` where it has to be started anew instead."""
        if not self.child.is_ready:
            return None
        try:
            socket.send_fds(self._ours, [b"fork"], [stdout, stderr, ready, *spec.inherited_fds])
            pid = int(self._ours.recv(32))
        except (OSError, ValueError):
            # It is dead or hangs. The next one must not find the order of this one.
            self.child.send(signal.SIGKILL)
            self._forget_orders()
            return None
        return Adopted(pid) if pid else None

    def close(self) -> None:
        """Let go of the socket; the process ends by itself then."""
        self._ours.close()
        self._theirs.close()

    def _forget_orders(self) -> None:
        for end in (self._theirs, self._ours):
            end.setblocking(False)
            with contextlib.suppress(OSError):
                while True:
                    _, fds, _, _ = socket.recv_fds(end, 256, 8)
                    for fd in fds:
                        os.close(fd)
            end.setblocking(True)
        self._ours.settimeout(_PATIENCE_S)


def preloader_spec(worker: ChildSpec) -> ChildSpec:
    """How to start the preloader of workers such as `worker`."""
    command: Sequence[str] = (sys.executable, "-m", "scalix.launch.processes.preloader")
    return ChildSpec("loader", command, worker.environment, worker.directory)
