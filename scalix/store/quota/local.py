"""Counters of one process for the time that the store is away: bounded, and begun from what was last known."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Ask, Charge, Decision, KeyTallies, Receipt, Settled, Tallies, Tally
from scalix.store.memory.memory import MemoryStore
from scalix.store.memory.memory_accounts import Account

MOST_SUBJECTS = 10_000
_SAME_TIME_MS = 60_000


class LocalCounters:
    """Counts the `most_subjects` that were seen last, and as many virtual keys. `clock` returns Unix time in ms.

    What the store says of a subject replaces what was counted here.
    """

    def __init__(self, clock: Callable[[], int], *, most_subjects: int = MOST_SUBJECTS) -> None:
        self._clock = clock
        self._most_subjects = most_subjects
        self._known: OrderedDict[str, tuple[int, Tallies]] = OrderedDict()
        self._known_keys: OrderedDict[str, tuple[int, Tally]] = OrderedDict()
        self._counting: OrderedDict[str, _Counters] = OrderedDict()

    def learn(self, subject: str, at_ms: int, tallies: Tallies) -> None:
        """Note the store's own figures for the windows that `at_ms` lies in. Older ones than known say nothing."""
        self._counting.pop(subject, None)
        known = self._known.get(subject)
        if not tallies or (known is not None and known[0] - at_ms > _SAME_TIME_MS):
            return
        self._known[subject] = (at_ms, tallies)
        self._known.move_to_end(subject)
        if len(self._known) > self._most_subjects:
            self._known.popitem(last=False)

    def learn_key(self, key_id: str, at_ms: int, tallies: KeyTallies) -> None:
        """As `learn`, for a virtual key's use in the minute that `at_ms` lies in: budgets are not held here."""
        known = self._known_keys.get(key_id)
        if KeyWindow.MINUTE not in tallies or (known is not None and known[0] - at_ms > _SAME_TIME_MS):
            return
        self._known_keys[key_id] = (at_ms, tallies[KeyWindow.MINUTE])
        self._known_keys.move_to_end(key_id)
        if len(self._known_keys) > self._most_subjects:
            self._known_keys.popitem(last=False)

    def now_ms(self) -> int:
        """Unix time, by this process's clock."""
        return self._clock()

    async def admit(self, ask: Ask) -> Decision:
        """As `QuotaStore.admit`, against the counters of this process. Versions of records are not compared, and
        balances, which are not known here, not asked."""
        counters = self._counters(ask.subject, ask.key.key_id if ask.key else None)
        return await counters.admit(replace(ask, user_version=None, is_billed=False))

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """As `QuotaStore.settle`, in the counters of this process. A second one by the same id counts again."""
        counters = self._counters(receipt.subject, receipt.key_id)
        settled = await counters.settle(receipt, charge)
        counters.forget_ended(receipt.subject)
        return settled

    def _counters(self, subject: str, key_id: str | None) -> "_Counters":
        counters = self._counting.get(subject)
        if counters is None:
            counters = self._counting[subject] = _Counters(self._clock)
            known = self._known.get(subject)
            if known is not None:
                counters.begin(subject, *known)
            if len(self._counting) > self._most_subjects:
                self._counting.popitem(last=False)
        self._counting.move_to_end(subject)
        if key_id is not None and key_id not in counters.key_windows and key_id in self._known_keys:
            counters.begin_key(key_id, *self._known_keys[key_id])
        return counters


class _Counters(MemoryStore):
    """The counters of one subject."""

    knows_keys = False

    def begin(self, subject: str, at_ms: int, tallies: Tallies) -> None:
        """Start from settled use as it was at `at_ms`. What was held then is not: its requests are settled here too."""
        self._accounts[subject] = Account()
        for window, tally in tallies.items():
            self._accounts[subject].windows[window, window_index(window, at_ms)] = _used(tally)

    def begin_key(self, key_id: str, at_ms: int, minute: Tally) -> None:
        """As `begin`, for a virtual key's use in the minute that `at_ms` lies in."""
        self.key_windows[key_id] = {(KeyWindow.MINUTE, window_index(Window.MINUTE, at_ms)): _used(minute)}

    def forget_ended(self, subject: str) -> None:
        """Keep nothing of requests that are over but what they have used."""
        self._accounts[subject].events.clear()


def _used(tally: Tally) -> Tally:
    return Tally(tally.requests_used, tally.tokens_used, tally.nano_usd_used)
