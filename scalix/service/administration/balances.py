"""Prepaid balances: what users have paid in, and what is left of it."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import Field

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.limit_amounts import LARGEST_COUNT
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.service.bodies import ReadBy, RequestBody, UserId
from scalix.store.quota.redis_balance import BalanceStore

MOST_ID_CHARS = 128


def _credit_id(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MOST_ID_CHARS or not value.isprintable() or " " in value:
        message = (
            f"'credit_id' must be a text of up to {MOST_ID_CHARS} characters without spaces that names this payment, "
            "such as the invoice's number: sent again with it, the amount is not added again."
        )
        raise BadRequest(message, param="credit_id")
    return value


def _nano_usd(value: Any, name: str) -> int:
    number = repr(value) if isinstance(value, float) else value
    try:
        if isinstance(number, bool) or not isinstance(number, int | str):
            raise InvalidOperation
        nano = Decimal(number) * NANO_USD_PER_USD
        whole = nano.is_finite() and nano == nano.to_integral_value() and 0 < abs(nano) <= LARGEST_COUNT
    except InvalidOperation:
        whole = False
    if not whole:
        message = (
            "'amount_usd' must be an amount in US dollars that is not 0, no finer than a nano-dollar and at most "
            f'{LARGEST_COUNT // NANO_USD_PER_USD}: a number or a text such as "25.00".'
        )
        raise BadRequest(message, param="amount_usd")
    return int(nano)


class Credit(RequestBody):
    """What was paid, in dollars, kept as nano-dollars; a negative amount takes from the balance. `credit_id` names the
    payment, which is added once."""

    user_id: UserId
    credit_id: Annotated[
        str,
        ReadBy(_credit_id, {"type": "string", "minLength": 1, "maxLength": MOST_ID_CHARS}),
        Field(
            description="name this payment, such as by the invoice's number; sent again with it, it is not added again"
        ),
    ]
    amount_usd: Annotated[
        int, ReadBy(_nano_usd, {"type": ["number", "string"]}), Field(description="write US dollars, such as 25.00")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBalance:
    """A user's balance in dollars: what is there, what requests in flight have reserved of it, and what is left."""

    user_id: str
    balance_usd: float | None
    reserved_usd: float | None
    available_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited(ShownBalance):
    """The balance after a payment; `credited`: it was not there before."""

    credit_id: str
    amount_usd: float
    credited: bool


class Balances:
    """Reads and credits balances, for the operator."""

    def __init__(self, store: BalanceStore, audit: AuditTrail) -> None:
        self._store = store
        self._audit = audit

    async def show(self, user_id: str) -> ShownBalance:
        """A user's balance; `None` under each figure for one who was never credited. Raises `BadRequest`."""
        name = checked_user_id(user_id, "user_id")
        return ShownBalance(user_id=name, **_shown(await self._store.balance(user_subject(name))))

    async def credit(self, body: Credit, by: Actor) -> Credited:
        """Add `amount_usd` to a balance (a negative amount takes from it), once for each `credit_id` of a user: whoever
        is not sure that it was done sends it again. Raises `BadRequest`."""
        name, credit_id, nano_usd = body.user_id, body.credit_id, body.amount_usd
        amount_usd = usd(nano_usd)
        act = Act("user.credit", by, name, {"credit_id": credit_id, "amount_usd": amount_usd})
        async with recorded(self._audit, act):
            added, balance = await self._store.credit(user_subject(name), nano_usd, credit_id)
        return Credited(user_id=name, credit_id=credit_id, amount_usd=amount_usd, credited=added, **_shown(balance))


def _shown(balance: Balance | None) -> dict[str, float | None]:
    names = ("balance_usd", "reserved_usd", "available_usd")
    if balance is None:
        return dict.fromkeys(names)
    amounts = balance.nano_usd, balance.held_nano_usd, balance.nano_usd - balance.held_nano_usd
    return dict(zip(names, map(usd, amounts), strict=True))


def usd(nano_usd: int) -> float:
    """Dollars, as JSON has them."""
    return nano_usd / NANO_USD_PER_USD
