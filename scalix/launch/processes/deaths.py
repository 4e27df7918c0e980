"""Whether a child that has ended before it was ready is worth another try, and what is said of it."""

from scalix.launch.processes.child import Child, describe_exit
from scalix.launch.processes.worker import EXIT_CANT_LOAD

MOST_FAILED_STARTS = 3


def is_hopeless(child: Child) -> bool:
    """What can't be loaded now can't be loaded in a second either; any other death may be an accident."""
    return child.exit_code == EXIT_CANT_LOAD or child.deaths >= MOST_FAILED_STARTS


def obituary(child: Child) -> str:
    """How often and how it ended, and its last words."""
    times = "" if child.deaths == 1 else f" {child.deaths} times"
    reason = child.last_words.removeprefix("worker: ") or "it said nothing"
    return f"{child.spec.name} ended{times} before it was ready ({describe_exit(child.exit_code)}): {reason}"
