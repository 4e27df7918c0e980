"""What a caller reads whose prepaid balance does not cover a request."""

from typing import Any

from scalix.domain.errors import GatewayError, InsufficientQuota, QuotaReserved
from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import Ask, Refused
from scalix.service.exchange.key_refusals import about
from scalix.service.identity.callers import Caller

LIMIT = "balance"
_RETRY_WHEN_HELD_S = 1


def balance_exhausted(caller: Caller, ask: Ask, refused: Refused) -> GatewayError:
    """There is too little, and waiting does not help."""
    balance = refused.balance_now
    needed = ask.prices.cost_nano_usd(ask.sure_prompt_tokens, ask.choices * ask.min_output_tokens)
    url = caller.tier.upgrade_url if caller.tier else None
    where = f" Add credit at {url}." if url else " Ask the operator of this gateway for credit."
    if balance is None:
        message = f"You have no prepaid balance, and the {_tier(caller)} tier needs one.{where}"
    else:
        message = (
            f"Your prepaid balance is {_usd(balance.nano_usd)} USD, and this request needs {about(ask)} "
            f"{_usd(needed)}.{where}"
        )
    return InsufficientQuota(message, details=_details(caller, balance))


def balance_reserved(caller: Caller, refused: Refused) -> GatewayError:
    """There is enough, but the caller's own requests in flight hold it."""
    message = "Your own requests in flight have reserved what is left of your prepaid balance. Try again when they end."
    return QuotaReserved(message, details=_details(caller, refused.balance_now), retry_after_s=_RETRY_WHEN_HELD_S)


def _details(caller: Caller, balance: Balance | None) -> dict[str, Any]:
    details: dict[str, Any] = {
        "tier": caller.tier.name if caller.tier else None,
        "limit": LIMIT,
        "balance_usd": None if balance is None else balance.nano_usd / NANO_USD_PER_USD,
        "reserved_usd": None if balance is None else balance.held_nano_usd / NANO_USD_PER_USD,
    }
    if caller.tier and caller.tier.upgrade_url:
        details["upgrade_url"] = caller.tier.upgrade_url
    return details


def _tier(caller: Caller) -> str:
    return caller.tier.name if caller.tier else "this"


def _usd(nano_usd: int) -> str:
    sign, (dollars, rest) = "-" * (nano_usd < 0), divmod(abs(nano_usd), NANO_USD_PER_USD)
    return f"{sign}{dollars}.{rest:09d}".rstrip("0").rstrip(".")
