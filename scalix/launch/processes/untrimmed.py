"""Restarts a worker with LiteLLM as it is, where the gateway could not trim what LiteLLM does for each request."""

import logging
import os
import sys

SETTING = "SCALIX_TRIM_LITELLM"

log = logging.getLogger("scalix.worker")


class CantTrim(Exception):
    """LiteLLM's code is not as the gateway expects it. The text says where, in one line."""


def start_untrimmed(reason: str, fd: int, ready_fd: int) -> None:
    """Start this worker's program again in the same process, untrimmed. Returns only where it is untrimmed already."""
    if os.environ.get(SETTING, "").strip() == "0":
        return
    log.warning("%s. It is started once more, untrimmed: every request will take longer", reason)
    os.environ[SETTING] = "0"
    for descriptor in (fd, ready_fd):
        os.set_inheritable(descriptor, True)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    own = ("--fd", str(fd), "--ready-fd", str(ready_fd))
    os.execv(sys.executable, [sys.executable, "-m", "scalix.launch.processes.worker", *own])  # noqa: S606
