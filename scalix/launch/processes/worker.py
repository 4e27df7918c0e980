"""A worker process: uvicorn with the gateway's app, on a socket that the launcher has bound.

Run by the launcher as `python -m scalix.launch.processes.worker --fd N --ready-fd M`. `SCALIX_APP`, `module:factory`,
puts another app in the gateway's place, for tests.
"""

import asyncio
import errno
import faulthandler
import importlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from scalix.launch.config.policy_file import note_taken
from scalix.launch.problems import LaunchError
from scalix.launch.processes.child_process import descriptors
from scalix.launch.processes.log_format import configure_logging
from scalix.launch.processes.patience import patience_of
from scalix.launch.processes.ports import allow_listen, beside
from scalix.launch.processes.signals import EXIT_CANT_LOAD, EXIT_PORT_TAKEN
from scalix.launch.processes.untrimmed import CantTrim, start_untrimmed
from scalix.store.connection.background import in_background

log = logging.getLogger("scalix.worker")

DEFAULT_APP = "scalix.wiring.gate:create_app"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM. Returns the exit code: 0 drained, `EXIT_CANT_LOAD`, `EXIT_PORT_TAKEN`."""
    fd, ready_fd = descriptors("worker", "--fd", "the bound socket", arguments)
    configure_logging(os.environ.get("LITELLM_LOG_LEVEL", "INFO").upper())
    # A worker that hangs is ended by SIGABRT and says where; its memory, with keys and prompts, goes to no file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    faulthandler.enable(all_threads=False)
    try:
        # Without them uvicorn would serve at half the speed and not say so.
        import httptools  # noqa: F401
        import uvloop
    except ImportError as error:
        return _give_up(f"{error}; run tools/setup.sh")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(fd, ready_fd))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            print("worker: another program has begun to listen on the port", file=sys.stderr)
            return EXIT_PORT_TAKEN


async def _serve(fd: int, ready_fd: int) -> int:
    # Before there is a server there is nothing to drain.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    name = os.environ.get("SCALIX_APP", DEFAULT_APP)
    try:
        module, _, factory = name.partition(":")
        app = getattr(importlib.import_module(module), factory or "create_app")()
    except LaunchError as error:
        for problem in error.problems:
            print(f"worker: {problem}", file=sys.stderr)
        return EXIT_CANT_LOAD
    except CantTrim as error:
        start_untrimmed(str(error), fd, ready_fd)
        return _give_up(str(error))
    except Exception as error:
        log.exception("the app can't be loaded")
        return _give_up(f"can't load {name}: {type(error).__name__}: {error}")
    if "SCALIX_POLICY" in os.environ and hasattr(app, "reload"):
        _reload_on_hangup(app.reload, Path(os.environ["SCALIX_POLICY"]))
    else:
        signal.signal(signal.SIGHUP, lambda *_: None)
    from scalix.launch.processes.server import build_server

    server = build_server(app, patience_of(os.environ), ready_fd)
    # uvicorn sends itself the signal again when it is done; by then it has been obeyed.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    allow_listen(sock)
    sockets = [sock]
    if ui_port := int(os.environ.get("SCALIX_UI_PORT") or 0):
        sockets.append(beside(sock, ui_port))
    try:
        await server.serve(sockets=sockets)
    except SystemExit:
        reason: str = getattr(app, "start_problem", "")
        if reason:
            start_untrimmed(reason, sock.detach(), ready_fd)
        return _give_up(reason or "the app's start-up failed, see above")
    return 0


def _reload_on_hangup(take_policy: Callable[[], int], policy_path: Path) -> None:
    """On each SIGHUP, have the app read the policy that the launcher has written. `take_policy` returns its number.

    For the thread of a running event loop. The file is read in another thread, requests go on meanwhile.
    """
    lock = asyncio.Lock()
    running: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        # One after the other, so that an older file never wins over a newer one.
        async with lock:
            try:
                note_taken(policy_path, await asyncio.to_thread(take_policy))
            except (LaunchError, OSError) as error:
                log.error("the reload failed, what was in force stays: %s", error)

    def start() -> None:
        task = in_background(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, start)


def _give_up(reason: str) -> int:
    print(f"worker: {reason}", file=sys.stderr)
    return EXIT_CANT_LOAD


def leave(code: int) -> NoReturn:
    """End the process at once: all is settled and closed, and freeing what LiteLLM has loaded would take seconds."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
