"""The launcher's side of the preloader: it has workers forked, instead of starting each as a program."""

import signal
import socket
import sys
from dataclasses import replace

from scalix.launch.processes.child import Child, ChildSpec
from scalix.launch.processes.child_process import adopt_orphans
from scalix.launch.processes.output import Output
from scalix.launch.processes.process import Adopted
from scalix.launch.processes.pump import PipePump

# A fork of some 300 MiB takes 30 ms; a preloader that takes this long is no use.
_PATIENCE_S = 5.0


class Preloader(Child):
    """Has workers such as `worker` forked from a process that has loaded LiteLLM. Raises OSError where it can't."""

    def __init__(self, worker: ChildSpec, pump: PipePump, output: Output) -> None:
        adopt_orphans()
        environment = {**worker.environment, "OPENBLAS_NUM_THREADS": "1"}  # its thread would not live through a fork
        # Its forks have what it has; the listener they get with each order.
        self._shared = worker.inherited_fds[1:]
        spec = ChildSpec("preloader", (), environment, worker.directory, death_signal=signal.SIGKILL)
        super().__init__(spec, pump, output)
        self._connect()

    def fork(self, spec: ChildSpec, stdout: int, stderr: int, ready: int) -> Adopted | None:
        """Have a worker forked that gets the descriptors of `spec`; `None` where it has to be started as a program."""
        if not self.is_ready:
            return None
        try:
            socket.send_fds(self._ours, [b"fork"], [stdout, stderr, ready, spec.inherited_fds[0]])
            pid = int(self._ours.recv(32))
        except (OSError, ValueError):
            # It is dead or hangs. The next one must not find the order of this one.
            self.send(signal.SIGKILL)
            self.close()
            self._connect()
            return None
        return Adopted(pid) if pid else None

    def close(self) -> None:
        """Close the socket, on which the process ends by itself."""
        self._ours.close()
        self._theirs.close()

    def _connect(self) -> None:
        """Make the socket that orders go by, whose other end the next process gets."""
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(_PATIENCE_S)
        control = self._theirs.fileno()
        command = (sys.executable, "-m", "scalix.launch.processes.preloader", "--control", str(control))
        self.spec = replace(self.spec, command=command, inherited_fds=(control, *self._shared))
