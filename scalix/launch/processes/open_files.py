"""File descriptors: how many a gateway may have, and a worker that has none left."""

import logging
import os
import resource

# As many as the service of `deploy/systemd` has. Without a bound idle connections would take all memory.
_ENOUGH = 65_536

log = logging.getLogger("scalix.worker")


def allow_open_files() -> None:
    """Let this process and its children have as many as the system lets them, which shells set lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class OpenFiles:
    """Says when this process has no descriptor left, and when it has again. What can't be accepted the event loop
    closes without a word."""

    def __init__(self) -> None:
        self._are_left = True

    def look(self, connections: int) -> None:
        """To be called now and then, with how many connections of clients there are."""
        try:
            os.close(os.dup(0))
            are_left = True
        except OSError:
            are_left = False
        if self._are_left and not are_left:
            log.error(
                "no file descriptor is left (%d connections of clients, `ulimit -n` is %d): new connections are closed "
                "and providers can't be asked until some are free; raise the limit, see docs/operating.md",
                *(connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            )
        elif are_left and not self._are_left:
            log.warning("file descriptors are free again")
        self._are_left = are_left
