"""What a caller reads whose prepaid balance does not cover a request."""

from typing import Any

from scalix.domain.errors import GatewayError, InsufficientQuota, QuotaReserved
from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.limits import Metric, usd_text
from scalix.domain.limits.quota import Ask, Refused
from scalix.service.exchange.refusal_parts import RETRY_WHEN_HELD_S, about, upgrade_of
from scalix.service.identity.callers import Caller

LIMIT = "balance"


def balance_exhausted(caller: Caller, ask: Ask, refused: Refused) -> GatewayError:
    """There is too little, and waiting does not help."""
    balance = refused.balance_now
    needed = usd_text(ask.sure_needs[Metric.SPEND.place])
    url = caller.tier.upgrade_url if caller.tier else None
    where = f" Add credit at {url}." if url else " Ask the operator of this gateway for credit."
    if balance is None:
        message = f"You have no prepaid balance, and the {_tier(caller)} tier needs one.{where}"
    else:
        message = (
            f"Your prepaid balance is {usd_text(balance.nano_usd)} USD, and this request needs {about(ask)}"
            f"{needed}.{where}"
        )
    return InsufficientQuota(message, details=_details(caller, balance))


def balance_reserved(caller: Caller, refused: Refused) -> GatewayError:
    """There is enough, but the caller's own requests in flight hold it."""
    message = "Your own requests in flight have reserved what is left of your prepaid balance. Try again when they end."
    return QuotaReserved(message, details=_details(caller, refused.balance_now), retry_after_s=RETRY_WHEN_HELD_S)


def _details(caller: Caller, balance: Balance | None) -> dict[str, Any]:
    usd = Metric.SPEND.unit.shown
    return {
        "tier": caller.tier.name if caller.tier else None,
        "limit": LIMIT,
        "balance_usd": None if balance is None else usd(balance.nano_usd),
        "reserved_usd": None if balance is None else usd(balance.held_nano_usd),
        **upgrade_of(caller),
    }


def _tier(caller: Caller) -> str:
    return caller.tier.name if caller.tier else "this"
