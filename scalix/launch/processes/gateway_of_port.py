"""Finds the gateway that has a port, whichever state directory it runs from."""

from collections.abc import Iterator
from pathlib import Path

from scalix.launch.processes.ports import describe_owner
from scalix.launch.processes.runfile import LOCK_FILE, lock_holder, read_run_file


def gateway_of_port(port: int, own: Path) -> Path | None:
    """The state directory of the gateway that has `port`; `own` is looked at first. Of other users' gateways only root
    sees any."""
    return next((found for found in (own, *_others(own)) if _port_of(found) == port), None)


def none_there(port: int) -> str:
    """The line for the operator where no gateway has `port`."""
    owner = describe_owner("0.0.0.0", port)  # noqa: S104 - any address
    whose = f"; {owner} listens there" if owner.startswith("pid ") else ""
    return f"no gateway of this user has port {port}{whose}"


def _port_of(state_dir: Path) -> int | None:
    try:
        if lock_holder(state_dir) is None:
            return None
    except OSError:
        return None
    run_file = read_run_file(state_dir)
    return run_file.port if run_file else None


def _others(own: Path) -> Iterator[Path]:
    """The state directories of the gateways that run on this machine: a launcher has its lock open."""
    import psutil  # 30 ms, wanted only here

    for process in psutil.process_iter():
        try:
            files = process.open_files()
        except (psutil.Error, OSError):
            continue
        for file in files:
            path = Path(file.path)
            if path.name == LOCK_FILE and path.parent != own:
                yield path.parent
