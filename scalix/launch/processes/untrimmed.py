"""A second start of a worker in which LiteLLM is left as it is, where it does not work as the gateway would have it."""

import logging
import os
import sys

SETTING = "SCALIX_TRIM_LITELLM"

log = logging.getLogger("scalix.worker")


class CantTrim(Exception):
    """LiteLLM is put together otherwise than it was. Says where, in one line."""


def start_untrimmed(reason: str, fd: int, ready_fd: int) -> None:
    """Become a worker whose LiteLLM is left untrimmed: the same process, from the start. Returns where this is one."""
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
