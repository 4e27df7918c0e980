"""Builds the pages around the use cases that the API has."""

from scalix.edge.guard import Guard
from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.finding import PathTable
from scalix.pages.frame import Frame
from scalix.pages.rows import Services
from scalix.service.clock import now_ms
from scalix.wiring.core import Core


def build_pages(core: Core, guard: Guard) -> Frame:
    """The pages. What they show and do comes from `Services`: a page that needs another use case names it here."""
    operators, sign_ins = core.administration, core.callers.sign_ins
    services = Services(
        core.policy,
        sign_ins,
        guard.addresses,
        core.usage.usage,
        core.usage.events,
        core.usage.reporting,
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
    )
    return Frame(PathTable(PAGE_ROWS), services, sign_ins, guard, now_ms)
