"""A process that has loaded LiteLLM once and forks gateways from then on, so that not each of them loads it anew.

The fork runs the launcher's own command, and what that would start of the gateway's programs (workers, and the process
that forks several of them) it forks in turn, with the same arguments, environment and descriptors. A gateway whose
environment has something else in it that was looked at while LiteLLM was loaded is started by its command.

All processes of one run of the tests share it. When one of them ends, however it does, the gateways that it has left
running are stopped.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial, partialmethod
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
_PROGRAMS = ("scalix.launch.processes.worker", "scalix.launch.processes.preloader")
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
# LiteLLM's pause before its second attempt; 0.5 s and up to 0.75 s more otherwise.
QUICK_RETRIES = {"INITIAL_RETRY_DELAY": "0.01", "JITTER": "0.01"}
# A variable that names a script, which is run in each of a gateway's programs that is forked, before it begins.
AFTER_LOAD = "TEST_AFTER_LOAD"
_MOST_BYTES = 2**17


def hurried(folder: Path, **every_s: float) -> dict[str, str]:
    """The variable with which a forked gateway does each of these of `scalix.wiring.core` so often."""
    script = folder / "hurry.py"
    lines = [f"core.{name} = {seconds}\n" for name, seconds in every_s.items()]
    script.write_text("import scalix.wiring.core as core\n" + "".join(lines), encoding="utf-8")
    return {AFTER_LOAD: str(script)}


class Loaded:
    """The tests' end of it. The process is started at the first command of all, and ends with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def command(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` of the launcher's script with these arguments."""
        with self._lock, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            if self._socket is None:
                self._socket = _begun()
            self._socket.settimeout(timeout_s)
            order = json.dumps({"arguments": [*arguments], "env": {**env}, "cwd": str(cwd)}).encode()
            socket.send_fds(self._socket, [order], [out.fileno(), err.fileno()])
            code = int(self._socket.recv(32) or b"-1")
            return subprocess.CompletedProcess([*arguments], code, _text(out), _text(err))


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _begun() -> socket.socket:
    # In no folder, and gone with the process.
    address = f"\0scalix-tests-{os.environ.get('PYTEST_XDIST_TESTRUNUID') or os.getpid()}"
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, contextlib.suppress(OSError):
        listening.bind(address)  # which fails for all but the first
        listening.listen()
        subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.e2e.loaded", str(listening.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=(listening.fileno(),),
            start_new_session=True,
        )
    while ours.connect_ex(address):  # between the first one's two calls
        time.sleep(0.01)
    return ours


def main(listening_fd: int) -> None:
    """Load, and fork for each command until the tests have gone."""
    from scalix.launch.processes.child import Child

    Child._started = partialmethod(_started, _Load())  # type: ignore[method-assign, assignment]
    gc.freeze()
    with socket.socket(fileno=listening_fd) as listening:
        listening.set_inheritable(False)
        _Forks(listening).serve()


class _Forks:
    """Who gives commands, and the commands that run, each known by a descriptor that can be read when it says something
    or has ended."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ, self._greet)
        # By who has started them, and by folder.
        self._running: dict[socket.socket, dict[str, dict[str, Any]]] = {}

    def serve(self) -> None:
        """Until those who have given commands have gone."""
        self._greet()
        while len(self._selector.get_map()) > 1:
            for key, _ in self._selector.select():
                key.data()

    def _greet(self) -> None:
        connection, _ = self._listening.accept()
        self._running[connection] = {}
        self._selector.register(connection, selectors.EVENT_READ, partial(self._obey, connection))

    def _obey(self, connection: socket.socket) -> None:
        order, fds, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
        if not order:
            self._selector.unregister(connection)
            connection.close()
            for wanted in self._running.pop(connection).values():
                nowhere = [os.open(os.devnull, os.O_WRONLY) for _ in range(2)]
                self._fork({**wanted, "arguments": ["--stop"]}, nowhere, lambda code: None)
            return
        wanted = json.loads(order)
        self._running[connection][wanted["cwd"]] = wanted
        if "--stop" in wanted["arguments"]:
            del self._running[connection][wanted["cwd"]]
        self._fork(wanted, fds, partial(_tell, connection))

    def _fork(self, wanted: dict[str, Any], fds: Sequence[int], then: Callable[[int], None]) -> None:
        """Run a command, and tell its exit code."""
        pid = os.fork()
        if pid == 0:
            for key in self._selector.get_map().values():
                os.close(key.fd)
            _run_command(wanted, fds)
        for fd in fds:
            os.close(fd)
        ended = os.pidfd_open(pid)
        self._selector.register(ended, selectors.EVENT_READ, partial(self._reap, pid, ended, then))

    def _reap(self, pid: int, ended: int, then: Callable[[int], None]) -> None:
        self._selector.unregister(ended)
        os.close(ended)
        then(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _tell(connection: socket.socket, code: int) -> None:
    with contextlib.suppress(OSError):  # they have ended meanwhile
        connection.send(b"%d" % code)


def _run_command(wanted: dict[str, Any], fds: Sequence[int]) -> NoReturn:
    from scalix.cli.start import main as start

    code = 70
    try:
        for number, fd in enumerate(fds, 1):
            os.dup2(fd, number)
            os.close(fd)
        _set_environment(wanted["env"])
        os.chdir(wanted["cwd"])
        code = start(wanted["arguments"])
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _set_environment(env: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(env):
        del os.environ[name]
    os.environ.update(env)


class _Load:
    """LiteLLM, loaded as a worker of a gateway loads it."""

    def __init__(self) -> None:
        from scalix.cli import start
        from scalix.launch.processes.child import Child
        from scalix.launch.processes.plan import worker_environment
        from scalix.launch.processes.preloader import _preload
        from scalix.launch.processes.worker import DEFAULT_APP

        _set_environment({name: os.environ[name] for name in KEPT if name in os.environ} | QUICK_RETRIES)
        plan = start._plan(start._parser().parse_args(["--demo"]))
        nowhere = Path("/nonexistent")
        self.environment = worker_environment(plan, rendered_config=nowhere, store_url="", master_key="", demo_url=None)
        # As the launcher does for the process that it has workers forked from.
        _set_environment({**self.environment, "OPENBLAS_NUM_THREADS": "1"})
        self.looked_at = set[str]()
        get: Callable[[Any, str], str] = os._Environ.__getitem__

        def look(environ: Any, name: str) -> str:
            # Who goes through all of them looks for those of a name's ending, such as `_proxy`.
            if environ is os.environ and sys._getframe(1).f_code.co_name not in ("__iter__", "copy"):
                self.looked_at.add(name)
            return get(environ, name)

        os._Environ.__getitem__ = look  # type: ignore[method-assign, assignment]
        try:
            _preload(DEFAULT_APP)
            _make_tables()
        finally:
            os._Environ.__getitem__ = get  # type: ignore[method-assign, assignment]
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "what was loaded has begun threads"
        self.added = {name: value for name, value in os.environ.items() if name not in self.environment}
        self.by_command = Child._started

    def is_as_in(self, environment: Mapping[str, str]) -> bool:
        """Whether all that was looked at is the same there."""
        differ = {name for name, _ in environment.items() ^ self.environment.items()}
        return not any(name in self.looked_at or name.lower().endswith("_proxy") for name in differ)


def _make_tables() -> None:
    """What FastAPI makes of LiteLLM's six hundred routes at the first request, which is most of a worker's start."""
    from litellm.proxy.proxy_server import app

    for route in app.routes:
        getattr(route, "effective_candidates", list)()


def _started(child: Any, load: "_Load", stdout: int, stderr: int, ready: int) -> Any:
    """In place of `Child._started`, which starts a program."""
    from scalix.launch.processes.child_process import die_with_parent
    from scalix.launch.processes.process import Adopted

    spec = child.spec
    module = spec.command[2]
    if module not in _PROGRAMS or not load.is_as_in(spec.environment):
        return load.by_command(child, stdout, stderr, ready)
    before = die_with_parent(spec.death_signal)
    pid = os.fork()
    if pid:
        return Adopted(pid)
    code = 70
    try:
        os.setsid()
        before()
        _as_started({0: os.open(os.devnull, os.O_RDONLY), 1: stdout, 2: stderr}, (ready, *spec.inherited_fds))
        _set_environment({**load.added, **spec.environment})
        os.chdir(spec.directory)
        if AFTER_LOAD in spec.environment:
            runpy.run_path(spec.environment[AFTER_LOAD])
        sys.path[:0] = [part for part in spec.environment["PYTHONPATH"].split(":") if part not in sys.path]
        code = importlib.import_module(module).main([*spec.command[3:], "--ready-fd", str(ready)])
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(io.UnsupportedOperation, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _as_started(standard: Mapping[int, int], kept: Sequence[int]) -> None:
    """What the start of a program leaves: these descriptors and no other, and no handler of a signal."""
    # Nothing that the launcher has made is freed from here on, and closes a number that is another's by then.
    gc.freeze()
    for number, fd in standard.items():
        os.dup2(fd, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) not in (0, 1, 2, *kept):
            with contextlib.suppress(OSError):
                os.close(int(name))
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
