"""Prepaid balances in Redis or Valkey."""

from scalix.domain.ledger.ledger import Balance
from scalix.store.connection.session import SessionStore


class BalanceStore(SessionStore):
    """Prepaid balances. Every method may raise `StoreUnavailable`."""

    async def balance(self, subject: str) -> Balance | None:
        """The balance; `None` for a subject that was never credited."""
        nano_usd, held = await self._session.hmget(self._keys.balance(subject), ["nano", "held"])
        return None if nano_usd is None else Balance(int(nano_usd), int(held or 0))

    async def credit(self, subject: str, nano_usd: int, credit_id: str) -> tuple[bool, Balance]:
        """Add to the balance (a negative amount takes from it), once for each `credit_id`. Whether it was added now,
        and the balance after it."""
        names = [self._keys.balance(subject), self._keys.credits(subject)]
        added, after, held = await self._session.run("credit", names, [credit_id, nano_usd, self._session.now()])
        return bool(added), Balance(int(after), int(held))
