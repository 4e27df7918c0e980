"""Every feature's routes with the use cases that answer them."""

from functools import partial
from typing import Any

from scalix.edge.count_routes import CountRoutes
from scalix.edge.dispatch import Dispatcher
from scalix.edge.guard import Guard
from scalix.edge.health_routes import HealthRoutes
from scalix.edge.key_routes import KeyInfo
from scalix.edge.metrics import MetricsRoute
from scalix.edge.model_routes import ModelRoutes
from scalix.edge.routes import FEATURES
from scalix.edge.stored_answers import FindKeeper, StoredAnswers
from scalix.edge.usage_routes import UsageRoutes
from scalix.edge.user_routes import NewUsers
from scalix.wiring.core import Core


def build_dispatcher(
    core: Core, guard: Guard, health: HealthRoutes, keeper_of: FindKeeper, metrics_token: str | None
) -> Dispatcher:
    """What answers the routes that are not metered."""
    identity, exchange, operators = core.callers.identity, core.exchange, core.administration
    counts = CountRoutes(identity, exchange.admission, exchange.counting, guard, exchange.fallbacks)
    services: tuple[Any, ...] = (
        ModelRoutes(
            identity, core.policy, core.models.facts, exchange.health.last, exchange.fallbacks.cooldowns.wait_s
        ),
        counts,
        StoredAnswers(identity, exchange.object_ids, guard, keeper_of),
        UsageRoutes(identity, core.usage.usage, core.usage.events, core.usage.requests),
        core.self_service.keys,
        health,
        MetricsRoute(identity, core.usage.metrics, metrics_token),
        core.usage.reporting,
        core.usage.today,
        core.usage.limited,
        KeyInfo(operators.keys, identity),
        operators.keys,
        NewUsers(operators.users, operators.keys),
        operators.users,
        operators.limits,
        operators.balances,
        operators.revocation,
        core.callers.sign_ins,
        operators.secrets,
        operators.merging,
        core.audit.reading,
        core.ledger.administration,
        core.private.privacy,
        core.private.retention,
    )
    answers = {row: partial(row.answer, service) for service in services for row in FEATURES[type(service)]}
    return Dispatcher(identity, answers, partial(operators.users.refuse_nobodys, has_keys=operators.keys.has_keys))
