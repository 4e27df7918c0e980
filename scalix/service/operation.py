"""What operators see of the running gateway and of the others that share its store."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix.store.backup.redis_backups import BackupStore
from scalix.store.journal.journal import Journal
from scalix.store.records.redis_instances import InstanceStore


@dataclass(frozen=True, slots=True)
class Instance:
    """Another gateway or this one: its address, and the version of the config that it goes by."""

    address: str
    config: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`ready` tells of each part of this worker whether it is `ok`, and of alarms their figure; `run` is what the
    launcher has noted of this gateway, nothing where there is no launcher."""

    ready: Callable[[], Awaitable[Mapping[str, str | int]]]
    run: Callable[[], Mapping[str, Any]]
    instances: InstanceStore
    backups: BackupStore
    journal: Journal

    async def gateways(self) -> list[Instance]:
        """Those that share the store, by address; none where the store is one gateway's own. Raises
        `StoreUnavailable`."""
        found = []
        for text in (await self.instances.stated()).values():
            told = json.loads(text)
            if "address" in told:  # else it is a call for a reload
                found.append(Instance(str(told["address"]), str(told.get("config", ""))))
        return sorted(found, key=lambda one: one.address)
