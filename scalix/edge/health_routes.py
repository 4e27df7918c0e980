"""The `/health` routes, for those who watch the gateway."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, NotRequired

import orjson

import scalix
from scalix.domain.health_checks import Checked
from scalix.edge.asgi import token_of
from scalix.edge.model_views import health_of
from scalix.edge.rows import Access, Request, Row, operator_of
from scalix.edge.tables import Page
from scalix.service.described import Fields, Json
from scalix.service.identity.identity import Identity

Alive = Annotated[Json, Fields({str: "status"})]
_ALARMS = {
    NotRequired[int]: "store_emptied store_memory_percent journal_unwritable journal_percent custom_routers_off "
    "deployments_failing models_resting models_in_service"
}
_BACKUPS = {NotRequired[int]: "backup_age_s backup_late"}
Ready = Annotated[Json, Fields({str: "status litellm store", NotRequired[str]: "worker models"}, _ALARMS, _BACKUPS)]
Version = Annotated[Json, Fields({str: "status version"})]
_CHECKED = Annotated[Json, Fields({str: "model", NotRequired[str]: "deployment error note"})]
_LAST = Annotated[Json, Fields({str: "model checked_at reason", bool: "answers"})]
_ALL_CHECKED = Fields(
    {list[_CHECKED]: "healthy_endpoints unhealthy_endpoints", int: "healthy_count unhealthy_count"},
    {list[_LAST]: "background_checks"},
)
CheckedModels = Annotated[Json, _ALL_CHECKED]


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """`ready` says of each part, the store and LiteLLM, whether it is `ok`; `check_models` asks each model;
    `checked` tells the last checks that were made without being asked; `store_was_there`, whether the store has ever
    answered here."""

    identity: Identity
    ready: Callable[[], Awaitable[Mapping[str, str | int]]]
    check_models: Callable[[], Awaitable[CheckedModels]]
    checked: Callable[[], Awaitable[Mapping[str, Checked]]]
    store_was_there: Callable[[], bool]

    async def alive(self, asked: Request) -> Alive:
        """That this process answers."""
        return {"status": "alive"}

    async def readiness(self, asked: Request) -> Page:
        """Whether requests can be served: 200 or 503.

        All gateways lose their store in one moment. If each left the load balancer for that, nobody would be served,
        not even those whom tiers with `on_store_failure: allow` let through; so once it was there, it is only said.
        """
        parts = await self.ready()
        amiss = [name for name, value in parts.items() if isinstance(value, str) and value != "ok"]
        serves = not amiss or (amiss == ["store"] and self.store_was_there())
        status = "not ready" if not serves else "degraded" if amiss else "ready"
        return Page(orjson.dumps({"status": status, **parts}), status=200 if serves else 503)

    async def health(self, asked: Request) -> Version | CheckedModels:
        """The version for anybody; for the operator how each model answers now, and what the last background
        checks have found. Raises `InvalidApiKey`,
        `NotPermitted`."""
        is_operators = token_of(asked.scope) is not None
        if is_operators:
            await operator_of(self.identity, asked.scope)
        if not is_operators or asked.scope["method"] == "HEAD":  # of which nobody would see what the models answer
            return {"status": "ok", "version": scalix.__version__}
        told = await self.check_models()
        last = [{"model": one.name, **asdict(health_of(one))} for one in (await self.checked()).values()]
        return {**told, "background_checks": last}


HEALTH_ROWS: tuple[Row[HealthRoutes], ...] = (
    Row("GET", "/health", HealthRoutes.health, Access.ANYBODY_OPERATORS_MORE),
    Row("GET", "/health/liveliness", HealthRoutes.alive, Access.ANYBODY),
    Row("GET", "/health/readiness", HealthRoutes.readiness, Access.ANYBODY, gives=Ready),
)
