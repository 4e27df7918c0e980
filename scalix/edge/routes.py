"""The front door's list, put together from the rows of each feature: what is not on it is 404."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scalix.domain.requests.routes import Route
from scalix.edge.asgi import Scope
from scalix.edge.count_routes import COUNT_ROWS, CountRoutes
from scalix.edge.health_routes import HEALTH_ROWS, HealthRoutes
from scalix.edge.key_routes import KEY_INFO_ROWS, KEY_ROWS, KeyInfo
from scalix.edge.ledger_routes import LEDGER_ROWS
from scalix.edge.me_routes import ME_ROWS
from scalix.edge.metrics import METRICS_ROWS, MetricsRoute
from scalix.edge.model_routes import MODEL_ROWS, ModelRoutes
from scalix.edge.privacy_routes import PRIVACY_ROWS, RETENTION_ROWS
from scalix.edge.report_routes import LIMITED_ROWS, REPORT_ROWS, TODAY_ROWS
from scalix.edge.rows import Access, Row
from scalix.edge.stored_answers import STORED_ROWS, StoredAnswers
from scalix.edge.usage_routes import USAGE_ROWS, UsageRoutes
from scalix.edge.user_routes import (
    AUDIT_ROWS,
    BALANCE_ROWS,
    LIMIT_ROWS,
    LINK_ROWS,
    MERGE_ROWS,
    NEW_USER_ROWS,
    SECRET_ROWS,
    TOKEN_ROWS,
    USER_ROWS,
    NewUsers,
)
from scalix.service.administration.administration import UserAdministration
from scalix.service.administration.balances import Balances
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.administration.merging import Merging
from scalix.service.administration.resealing import SecretsAdministration
from scalix.service.administration.token_revocation import TokenRevocation
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.identity.sign_ins import SignIns
from scalix.service.ledger.ledger_administration import LedgerAdministration
from scalix.service.ledger.retention import RetentionJob
from scalix.service.privacy.privacy import Privacy
from scalix.service.self_service.own_keys import SelfServiceKeys
from scalix.service.usage.limited import LimitedUsers
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.todays_figures import TodaysFigures

Target = Route | Row[Any]
Methods = Mapping[str, Target]
"""One path: what answers each method that it takes."""

FEATURES: Mapping[type[Any], tuple[Row[Any], ...]] = {
    ModelRoutes: MODEL_ROWS,
    CountRoutes: COUNT_ROWS,
    StoredAnswers: STORED_ROWS,
    UsageRoutes: USAGE_ROWS,
    SelfServiceKeys: ME_ROWS,
    HealthRoutes: HEALTH_ROWS,
    MetricsRoute: METRICS_ROWS,
    Reporting: REPORT_ROWS,
    TodaysFigures: TODAY_ROWS,
    LimitedUsers: LIMITED_ROWS,
    KeyInfo: KEY_INFO_ROWS,
    KeyAdministration: KEY_ROWS,
    NewUsers: NEW_USER_ROWS,
    UserAdministration: USER_ROWS,
    LimitAdministration: LIMIT_ROWS,
    Balances: BALANCE_ROWS,
    TokenRevocation: TOKEN_ROWS,
    SignIns: LINK_ROWS,
    SecretsAdministration: SECRET_ROWS,
    Merging: MERGE_ROWS,
    AuditReading: AUDIT_ROWS,
    LedgerAdministration: LEDGER_ROWS,
    Privacy: PRIVACY_ROWS,
    RetentionJob: RETENTION_ROWS,
}
"""The features, by the class of the service that answers them."""
ROWS = tuple(row for rows in FEATURES.values() for row in rows)


def all_routes() -> Iterator[tuple[str, str, Target]]:
    """Every path, method and target; `{id}` stands for a model's name or a response's id, `{key}` for a virtual key or
    its SHA-256, `{user}` for a user's id, percent-encoded."""
    yield from ((prefix + route.row.path, "POST", route) for route in Route for prefix in ("/v1", ""))
    yield from ((path, row.method, row) for row in ROWS for path in (row.path, *row.also))


def access_of(target: Target) -> Access:
    """Who may use a target."""
    return target.access if isinstance(target, Row) else Access.CALLERS


class _Template(NamedTuple):
    """A path with one name in it."""

    before: str
    after: str
    shown: str
    holds_slashes: bool
    may_be_encoded: bool
    methods: dict[str, Target]

    def fits(self, raw: str) -> bool:
        """Whether a path as it was sent is one of these."""
        if not (raw.startswith(self.before) and raw.endswith(self.after)):
            return False
        name = raw[len(self.before) : len(raw) - len(self.after)]
        return bool(name) and (self.holds_slashes or "/" not in name) and (self.may_be_encoded or "%" not in name)


def _exact_and_templates() -> tuple[dict[str, dict[str, Target]], dict[str, _Template]]:
    exact: dict[str, dict[str, Target]] = {}
    templates: dict[str, _Template] = {}
    for path, method, target in all_routes():
        if "{" not in path or not isinstance(target, Row):
            exact.setdefault(path, {})[method] = target
            continue
        before, name = path.split("{")
        name, after = name.split("}")
        shown = target.path.replace("{id}", "*")
        new = _Template(before, after, shown, target.holds_slashes, name != "key", {})
        templates.setdefault(path, new).methods[method] = target
    return exact, templates


ENTRIES, _BY_PATH = _exact_and_templates()
_TEMPLATES = sorted(_BY_PATH.values(), key=lambda template: -len(template.after))


def find(path: str, raw_path: bytes) -> Methods | None:
    """The methods of a path, exactly as written; `None` for every other path.

    `raw_path` is the path before percent-decoding. An encoded letter is a second spelling, and so is not found; only a
    model's name, an answer's id and a user's id may need it.
    """
    methods = ENTRIES.get(path)
    if methods is not None:
        return None if b"%" in raw_path else methods
    raw = raw_path.decode("latin-1")
    return next((template.methods for template in _TEMPLATES if template.fits(raw)), None)


# Where a scope says which page it is of, as it may stand in a log.
PAGE = "scalix_page"


def shown_route(scope: Scope) -> str:
    """The path of a request as it may stand in a log."""
    return scope.get(PAGE) or shown_path(scope["path"])


def shown_path(path: str) -> str:
    """A path as it may stand in a log: what is not on the list may be anything, a key pasted into a URL too."""
    if path in ENTRIES:
        return path
    for template in _TEMPLATES:
        if path.startswith(template.before) and path.endswith(template.after):
            return template.shown
    return "-"
