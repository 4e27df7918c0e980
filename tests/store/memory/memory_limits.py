"""Counters in one process's memory, and what is asked of them beside admission and settlement."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.ledger.ledger import Balance, Event
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import ShadowCount, Tallies, Tally
from scalix.domain.limits.tallying import KeyWindows, Windows, windows_at
from tests.store.memory.memory_accounts import USED, Account
from tests.store.memory.memory_users import MemoryUsers


class MemoryCounters(MemoryUsers):
    """A `LimitTools`, a `LimitTools` and a `BalanceStore`. `clock` returns Unix time in ms."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        self.keys: dict[str, KeyRecord] = {}  # by id; written by `MemoryKeyStore`
        self.key_windows: dict[str, KeyWindows] = {}
        self._accounts: dict[str, Account] = {}
        self._shadow: Counter[tuple[int, str, str]] = Counter()
        self._merged: set[str] = set()
        self._balances: dict[str, Balance] = {}
        self._credits: dict[str, dict[str, tuple[int, int]]] = {}
        self._erased_ms: dict[str, int] = {}
        self._windows_of_erased: dict[str, Windows] = {}
        # Of requests from before an erasure, which are in everybody's sums only.
        self._nobodys = Account()

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        now_ms = self._clock()
        kept = self._windows_of(subject, now_ms) or {}
        return now_ms, {key[0]: kept[key] for key in windows_at(now_ms, True) if key in kept}

    async def in_flight(self, subject: str) -> int:
        return len(self._accounts.get(subject, Account()).in_flight)

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        now_ms = self._clock()
        windows = self._windows_of(subject, now_ms) or {}
        before: Tallies = {}
        for window in Window:
            key = (window, window_index(window, now_ms))
            if key in windows:
                before[window] = windows[key]
                zeroed = {USED[metric]: 0 for metric, of in what if of is window}
                windows[key] = replace(before[window], **zeroed)
        return now_ms, before

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        if subject in self._merged:
            return False
        self._merged.add(subject)
        now_ms = self._clock()
        self._accounts.setdefault(subject, Account())
        windows = self._windows_of(subject, now_ms)
        for window, given in tallies.items():
            key = (window, window_index(window, read_ms))
            if windows is not None and key in windows_at(now_ms, True):
                tally = windows.get(key, Tally())
                windows[key] = replace(
                    tally,
                    **{name: max(tally.used(of), given.used(of) + given.held(of)) for of, name in USED.items()},
                )
        return True

    async def shadow_counts(self, days: int) -> list[ShadowCount]:
        today = window_index(Window.DAY, self._clock())
        return [ShadowCount(*key, requests) for key, requests in self._shadow.items() if key[0] > today - days]

    async def delete(self, user_id: str) -> bool:
        subject = f"user:{user_id}"
        account = self._accounts.get(subject, Account())
        account.windows.clear()
        account.in_flight.clear()
        self._merged.discard(subject)
        if subject in self._balances:
            self._balances[subject] = replace(self._balances[subject], held_nano_usd=0)
        return await super().delete(user_id)

    async def balance(self, subject: str) -> Balance | None:
        return self._balances.get(subject)

    async def credit(self, subject: str, nano_usd: int, credit_id: str) -> tuple[bool, Balance]:
        credits = self._credits.setdefault(subject, {})
        if credit_id in credits:
            return False, self._balances.get(subject, Balance(0))
        credits[credit_id] = (nano_usd, self._clock())
        before = self._balances.get(subject, Balance(0))
        self._balances[subject] = replace(before, nano_usd=before.nano_usd + nano_usd)
        return True, self._balances[subject]

    def _change_balance(self, subject: str, *, nano_usd: int, held: int) -> Balance | None:
        balance = self._balances.get(subject)
        if balance is None or not (nano_usd or held):
            return None
        changed = Balance(balance.nano_usd + nano_usd, max(0, balance.held_nano_usd + held))
        self._balances[subject] = changed
        return changed

    def now_ms(self) -> int:
        """Unix time."""
        return self._clock()

    def events_of(self, subject: str) -> list[Event]:
        """The subject's events."""
        return list(self._accounts.get(subject, Account()).events.values())

    def all_events(self, *, named: bool = False) -> list[Event]:
        """Everybody's; `named`: only those whose subject is known."""
        found = [event for account in self._accounts.values() for event in account.events.values()]
        return found if named else [*found, *self._nobodys.events.values()]

    def erase(self, subject: str) -> None:
        """Forget a subject. The windows stay under a pseudonym until the month ends, without what they hold."""
        account = self._accounts.pop(subject, Account())
        self._erased_ms[subject] = self._clock()
        self._nobodys.events |= account.events
        self._nobodys.swept |= account.swept
        self._windows_of_erased[subject] = {key: tally.without_held() for key, tally in account.windows.items()}
        for kept in (self._balances, self._credits):
            kept.pop(subject, None)
        self._merged.discard(subject)

    def _is_before_erasure(self, subject: str, at_ms: int) -> bool:
        return at_ms <= self._erased_ms.get(subject, -1)

    def _windows_of(self, subject: str, at_ms: int) -> Windows | None:
        """The windows that count for a request of `at_ms`; `None` where those of before an erasure have gone."""
        moved = self._windows_of_erased.get(subject)
        if moved is not None:
            month = window_index(Window.MONTH, self._erased_ms[subject])
            if window_index(Window.MONTH, self._clock()) <= month:
                return moved
        if self._is_before_erasure(subject, at_ms):
            return None
        account = self._accounts.get(subject)
        return account.windows if account else None
