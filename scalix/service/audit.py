"""A record of what operators did: who, what, to whom, when. Never a secret, never a user's own data."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

log = logging.getLogger("scalix.audit")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, such as `operator:master`, and in which request."""

    name: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One act, such as `user.limits` or `user.reset`. `details` is plain data: no key, no metadata of a user."""

    name: str
    actor: Actor
    user_id: str
    details: Mapping[str, Any] = field(default_factory=dict)


class AuditTrail(Protocol):
    """Where acts are recorded, after they were done."""

    async def record(self, act: Act) -> None:
        """Keep one act. May raise `StoreUnavailable`."""
        ...


class LoggedAudit:
    """An audit trail in the log: one line of JSON for each act, whatever level the log has for the rest."""

    def __init__(self) -> None:
        log.setLevel(logging.INFO)

    async def record(self, act: Act) -> None:
        """Write one line; names with line ends in them can't make it two."""
        facts = {
            "act": act.name,
            "actor": act.actor.name,
            "request_id": act.actor.request_id,
            "user_id": act.user_id,
            **act.details,
        }
        log.info("audit: %s", json.dumps(facts, separators=(",", ":"), default=str))
