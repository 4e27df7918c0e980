"""`--status`: finds the gateway that is meant, and says whether it runs and whether it answers."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from scalix.domain.limits.durations import length_in_words
from scalix.launch.http_client import Client, NoAnswer
from scalix.launch.processes.drain import waits_for
from scalix.launch.processes.ports import describe_owner
from scalix.launch.processes.runfile import FOREIGN_PID, LOCK_FILE, RunFile, lock_holder, read_run_file, running

PROBE_PATH = "/health/readiness"
MODELS_PATH = "/scalix/v1/models"
PROBE_TIMEOUT_S = 1.0
EXIT_CODES = {"ready": 0, "not running": 3}
EXIT_NOT_READY = 1
# Less than this on a disk is an alarm: the log and the journal may grow by so much.
FEW_MB = 128

State = Literal["ready", "not ready", "starting", "draining", "stopping", "not running"]


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a gateway.

    `detail` says why it is not ready; `pid` is 0 when it can't be seen from here. `alarms` are measurements
    that are too high but stop no request yet, such as `store_memory_percent`; `failing` are the deployments that fail
    their health checks, `resting` those that are not asked for some seconds after failures, as far as the gateway's
    key was at hand to ask for them. `backup_age_s` is the age of the last
    good backup in seconds, where backups are configured.
    """

    state: State
    state_dir: Path
    pid: int | None = None
    run_file: RunFile | None = None
    detail: str = ""
    alarms: Mapping[str, int] = field(default_factory=dict)
    failing: Sequence[Mapping[str, str]] = ()
    resting: Mapping[str, int] = field(default_factory=dict)
    backup_age_s: int | None = None

    def as_json(self, now_s: float) -> dict[str, Any]:
        """The status as plain data for JSON; `now_s` is in seconds since 1970."""
        answer: dict[str, Any] = {"state": self.state, "ready": self.state == "ready", "pid": self.pid}
        if self.detail:
            answer["detail"] = self.detail
        if self.alarms:
            answer["alarms"] = dict(self.alarms)
        if self.failing:
            answer["failing"] = list(self.failing)
        if self.resting:
            answer["resting_s"] = dict(self.resting)
        if self.backup_age_s is not None:
            answer["backup_age_s"] = self.backup_age_s
        if run := self.run_file:
            if run.in_flight or self.state == "draining":
                answer["waiting_for_requests"] = run.in_flight
            answer.update(
                address=run.url,
                host=run.host,
                port=run.port,
                started_at=datetime.fromtimestamp(run.started_at, UTC).isoformat(timespec="seconds"),
                uptime_s=max(0, int(now_s - run.started_at)),
                workers=[{"name": w.name, "pid": w.process.pid, "ready": w.ready} for w in run.workers],
                models=list(run.models),
                left_out=list(run.left_out),
                workers_down=list(run.down),
                pages=list(run.pages),
                store=run.store,
                store_socket=run.store_socket,
                certificate=run.certificate_state or None,
                demo=run.demo,
                version=run.version,
                config=run.config,
                config_differs_at=list(run.differing),
                config_unapplied=list(run.unapplied),
                log_file=run.log_file,
            )
        return answer | {"state_dir": str(self.state_dir)}

    def as_text(self, now_s: float) -> str:
        """The status as lines for a person; `now_s` is in seconds since 1970."""
        headline = f"{self.state} ({self.detail})" if self.detail else self.state
        run = self.run_file
        if run is None:
            pid = f", pid {self.pid}" if self.pid else ""
            return f"{headline}{pid}, state directory {self.state_dir}"
        ready = sum(worker.ready for worker in run.workers)
        pids = ", ".join(str(worker.process.pid) for worker in run.workers)
        rows = {
            "state": headline,
            "address": run.url + (" (demo provider)" if run.demo else ""),
            "pid": str(self.pid or run.launcher.pid),
            "uptime": uptime(now_s - run.started_at),
            "workers": f"{ready} of {len(run.workers)} ready" + (f" (pid {pids})" if pids else ""),
            **({"waiting": f"{run.in_flight} requests of workers that end"} if run.in_flight else {}),
            "models": f"{self.alarms.get('models_in_service', len(run.models))} of {run.known_models} in service",
            "store": run.store,
            **({"socket": run.store_socket} if run.store_socket else {}),
            **({"tls": run.certificate_state} if run.certificate else {}),
            **({"backup": f"{uptime(self.backup_age_s)} ago"} if self.backup_age_s is not None else {}),
            "version": run.version,
            **({"config": run.config} if run.config else {}),
            **({"warning": f"another config is in force at {', '.join(run.differing)}"} if run.differing else {}),
            **({"changed": f"{'; '.join(run.unapplied)} (not in force before --reload)"} if run.unapplied else {}),
            "log": run.log_file,
            **({"alarms": ", ".join(f"{name} {value}" for name, value in self.alarms.items())} if self.alarms else {}),
        }
        lines = [f"{name:<9}{value}" for name, value in rows.items()]
        lines += [f"failing  {one['deployment']}: {one['reason']} ({one['checked_at']})" for one in self.failing]
        for name, left_s in self.resting.items():
            lines.append(f"resting  {name}: {length_in_words(1000 * left_s)} more, after failures")
        lines += [f"pages    {line}" for line in run.pages]
        lines += [f"down     {line}" for line in run.down]
        lines += [f"out      {line}" for line in run.left_out]
        return "\n".join(lines)


def gateway_of_port(port: int, own: Path) -> Path | None:
    """The state directory of the gateway that has `port`; `own` is looked at first. Of other users' gateways only root
    sees any."""
    gateways = ((place, running(place)) for place in (own, *_other_gateways(own)))
    return next((place for place, run in gateways if run and run.port == port), None)


def none_there(port: int) -> str:
    """The line for the operator when no gateway has `port`."""
    owner = describe_owner("0.0.0.0", port)  # noqa: S104 - any address
    whose = f"; {owner} listens there" if owner.startswith("pid ") else ""
    return f"no gateway of this user has port {port}{whose}"


def _other_gateways(own: Path) -> Iterator[Path]:
    """The state directories of the gateways that run on this machine, known by the lock that a launcher has open."""
    import psutil  # 30 ms, wanted only here

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            paths = [Path(file.path) for file in process.open_files()]
            yield from (path.parent for path in paths if path.name == LOCK_FILE and path.parent != own)


def look(state_dir: Path) -> Status:
    """The status of the gateway of `state_dir`, within about a second. Raises OSError where that can't be read."""
    holder = lock_holder(state_dir)
    run_file = read_run_file(state_dir)
    if holder is None:
        stale = "it ended without cleaning up" if run_file else ""
        return Status("not running", state_dir, detail=stale)
    if run_file is None or holder not in (run_file.launcher.pid, FOREIGN_PID):
        return Status("starting", state_dir, holder)
    is_up = run_file.phase == "ready" or (run_file.phase == "starting" and any(w.ready for w in run_file.workers))
    if not is_up:
        waits = waits_for(run_file.in_flight) if run_file.in_flight else ""
        return Status(run_file.phase, state_dir, holder, run_file, waits)
    trouble, alarms = ask(run_file)
    age_s = alarms.pop("backup_age_s", None)
    alarms |= seen_from_outside(run_file, state_dir)
    if not trouble and alarms.get("models_in_service") == 0:
        trouble = "no model is in service: all of them rest after failures"
    # Before every worker serves and the store is there, one that answers is not all.
    well: State = "ready" if run_file.phase == "ready" else "starting"
    return Status("not ready" if trouble else well, state_dir, holder, run_file, trouble, alarms, backup_age_s=age_s)


def ask(run: RunFile) -> tuple[str, dict[str, int]]:
    """Ask the gateway whether it is ready. Returns the reason why not, empty when it is, and its alarms."""
    try:
        answer = Client(run.url, trusted=run.trusted).get(PROBE_PATH, with_key=False, timeout_s=PROBE_TIMEOUT_S)
    except NoAnswer as error:
        why = str(error)
        return why if why.startswith("no answer") else f"no answer: {why}", {}
    told = answer.json if isinstance(answer.json, dict) else {}
    alarms = {name: value for name, value in told.items() if isinstance(value, int)}
    if answer.status == HTTPStatus.OK and told.get("status", "ready") == "ready":
        return "", alarms
    reasons = "".join(f", {name}: {value}" for name, value in told.items() if isinstance(value, str))[:200]
    return f"{PROBE_PATH} answers {answer.status}{reasons}", alarms


def seen_from_outside(run: RunFile, state_dir: Path) -> dict[str, int]:
    """The alarms that a gateway does not tell of itself: workers that end again and again, and full disks."""
    down = {"workers_down": len(run.down)} if run.down else {}
    return down | full_disks(state_dir, Path(run.log_file).parent)


def full_disks(state_dir: Path, log_dir: Path) -> dict[str, int]:
    """How many megabytes are left where the gateway writes, if they are few."""
    free: dict[str, int] = {}
    for name, place in (("state_dir_free_mb", state_dir), ("log_dir_free_mb", log_dir)):
        with suppress(OSError):
            disk = os.statvfs(place)
            if (left_mb := disk.f_bavail * disk.f_frsize // 2**20) < FEW_MB:
                free[name] = left_mb
    return free


def models_at(run: RunFile, key: str) -> list[dict[str, Any]]:
    """How each deployment is, as the gateway tells its operator; none where it does not take this key."""
    with suppress(NoAnswer):
        answer = Client(run.url, key, run.trusted).get(MODELS_PATH, timeout_s=PROBE_TIMEOUT_S)
        models: list[dict[str, Any]] = (answer.field("data") if answer.status == HTTPStatus.OK else None) or []
        return [{**one, "deployment": one["deployment"] or one["model"]} for one in models]
    return []


def failing_of(models: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The deployments that fail their health checks, each with the reason and when that was."""
    return [
        {"deployment": one["deployment"], "reason": health["reason"], "checked_at": health["checked_at"]}
        for one in models
        if (health := one["health"]) is not None and not health["answers"]
    ]


def uptime(seconds: float) -> str:
    """A time in its two largest units, such as `3 d 4 h`, `2 h 5 min` or `12 s`."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2])


def print_status(state_dir: Path, *, as_json: bool, key: Callable[[], str] = str) -> int:
    """Print the status and return the exit code: 0 ready, 1 up but not ready, 3 not running. `key` finds the master
    key, if it can be found."""
    status = look(state_dir)
    out = status.alarms.get("deployments_failing") or status.alarms.get("models_resting")
    if status.run_file is not None and out and (found := key()):
        models = models_at(status.run_file, found)
        resting = {one["deployment"]: int(one.get("rests_s", 0)) for one in models if one.get("rests_s")}
        status = replace(status, failing=failing_of(models), resting=resting)
    now_s = time.time()
    print(json.dumps(status.as_json(now_s)) if as_json else status.as_text(now_s))
    return EXIT_CODES.get(status.state, EXIT_NOT_READY)
