"""The worker's side of a reload: on SIGHUP its app takes the policy that the launcher has written."""

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

from scalix.launch.config.policy_file import note_taken
from scalix.launch.problems import LaunchError
from scalix.store.connection.background import in_background

log = logging.getLogger("scalix.worker")


def reload_on_hangup(app: Any, policy_path: Path | None) -> None:
    """Call `app.reload()`, which returns the policy's number, on each SIGHUP. Apps without it ignore the signal.

    For the thread of a running event loop. The file is read in another thread, requests go on meanwhile.
    """
    lock = asyncio.Lock()
    running: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        # One after the other, so that an older file never wins over a newer one.
        async with lock:
            if not hasattr(app, "reload") or policy_path is None:
                return
            try:
                number = await asyncio.to_thread(app.reload)
                note_taken(policy_path, number)
            except (LaunchError, OSError) as error:
                log.error("the reload failed, what was in force stays: %s", error)

    def start() -> None:
        task = in_background(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, start)
