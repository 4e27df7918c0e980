"""Builds the pages around the use cases that the API has."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from scalix.edge.guard import Guard
from scalix.launch.processes.runfile import read_run_file
from scalix.launch.settings.environment import DEFAULT_PORT
from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.doors import Doors
from scalix.pages.finding import PathTable
from scalix.pages.frame import Frame
from scalix.pages.rows import Services
from scalix.service.clock import now_ms
from scalix.service.operation import Operation
from scalix.store.records.redis_instances import InstanceStore
from scalix.wiring.core import Core

Ready = Callable[[], Awaitable[Mapping[str, str | int]]]


def build_pages(core: Core, guard: Guard, ready: Ready) -> Frame:
    """The pages. `ready` tells how this worker is. What they show and do comes from `Services`: a page that needs
    another use case names it here."""
    operators, run = core.administration, read_run_file(core.store.state_dir)
    doors = Doors(
        core.policy,
        guard.addresses,
        is_production=core.is_production,
        api_port=run.port if run is not None else DEFAULT_PORT,
    )
    services = Services(
        core.policy,
        core.callers.sign_ins,
        doors,
        core.usage.usage,
        core.usage.events,
        core.usage.requests,
        core.usage.reporting,
        core.usage.today,
        core.usage.limited,
        operators.users,
        operators.keys,
        operators.limits,
        operators.balances,
        operators.revocation,
        core.audit.reading,
        core.ledger.administration,
        core.private.privacy,
        core.exchange.health,
        core.exchange.fallbacks,
        core.audit.log,
        core.self_service.keys,
        core.self_service.data,
        Operation(
            ready,
            partial(_run, core.store.state_dir),
            InstanceStore(core.store.session),
            core.backups.store,
            core.store.journal,
        ),
    )
    return Frame(PathTable(PAGE_ROWS), services, doors, guard, now_ms)


def _run(state_dir: Path) -> Mapping[str, Any]:
    """What the launcher has noted of this gateway, its own file at hand; nothing without a launcher."""
    found = read_run_file(state_dir)
    return {} if found is None else {**asdict(found), "url": found.url}
