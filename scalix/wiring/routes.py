"""Every feature's routes with the use cases that answer them."""

from functools import partial

from scalix.edge.count_routes import COUNT_ROWS, CountRoutes
from scalix.edge.dispatch import Dispatcher
from scalix.edge.guard import Guard
from scalix.edge.health_routes import HEALTH_ROWS, HealthRoutes
from scalix.edge.key_routes import KEY_INFO_ROWS, KEY_ROWS, KeyInfo
from scalix.edge.ledger_routes import LEDGER_ROWS
from scalix.edge.metrics import METRICS_ROWS, MetricsRoute
from scalix.edge.model_routes import MODEL_ROWS, ModelRoutes
from scalix.edge.privacy_routes import PRIVACY_ROWS, RETENTION_ROWS
from scalix.edge.report_routes import REPORT_ROWS
from scalix.edge.rows import bound
from scalix.edge.stored_answers import STORED_ROWS, FindKeeper, StoredAnswers
from scalix.edge.usage_routes import USAGE_ROWS, UsageRoutes
from scalix.edge.user_routes import (
    AUDIT_ROWS,
    BALANCE_ROWS,
    LIMIT_ROWS,
    MERGE_ROWS,
    NEW_USER_ROWS,
    SECRET_ROWS,
    TOKEN_ROWS,
    USER_ROWS,
    NewUsers,
)
from scalix.wiring.core import Core


def build_dispatcher(
    core: Core, guard: Guard, health: HealthRoutes, keeper_of: FindKeeper, metrics_token: str | None
) -> Dispatcher:
    """What answers the routes that are not metered."""
    identity, exchange, operators = core.callers.identity, core.exchange, core.administration
    counts = CountRoutes(identity, exchange.admission, exchange.counting, guard, exchange.fallbacks)
    answers = {
        **bound(MODEL_ROWS, ModelRoutes(identity, core.policy, core.models.facts)),
        **bound(COUNT_ROWS, counts),
        **bound(STORED_ROWS, StoredAnswers(identity, exchange.object_ids, guard, keeper_of)),
        **bound(USAGE_ROWS, UsageRoutes(identity, core.usage.usage, core.usage.events)),
        **bound(HEALTH_ROWS, health),
        **bound(METRICS_ROWS, MetricsRoute(identity, core.usage.metrics, metrics_token)),
        **bound(REPORT_ROWS, core.usage.reporting),
        **bound(KEY_INFO_ROWS, KeyInfo(operators.keys, identity)),
        **bound(KEY_ROWS, operators.keys),
        **bound(NEW_USER_ROWS, NewUsers(operators.users, operators.keys)),
        **bound(USER_ROWS, operators.users),
        **bound(LIMIT_ROWS, operators.limits),
        **bound(BALANCE_ROWS, operators.balances),
        **bound(TOKEN_ROWS, operators.revocation),
        **bound(SECRET_ROWS, operators.secrets),
        **bound(MERGE_ROWS, operators.merging),
        **bound(AUDIT_ROWS, core.audit.reading),
        **bound(LEDGER_ROWS, core.ledger.administration),
        **bound(PRIVACY_ROWS, core.private.privacy),
        **bound(RETENTION_ROWS, core.private.retention),
    }
    return Dispatcher(identity, answers, partial(operators.users.refuse_nobodys, has_keys=operators.keys.has_keys))
