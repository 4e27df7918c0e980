"""Counters of one process for the time that the store is away: bounded, and begun from what was last known."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from scalix.domain.calendar import window_index
from scalix.domain.quota import Ask, Charge, Decision, Receipt, Settled, Tallies, Tally
from scalix.store.memory import MemoryStore, _Account

MOST_SUBJECTS = 10_000
_SAME_TIME_MS = 60_000


class LocalCounters:
    """Counts the `most_subjects` that were seen last. `clock` returns Unix time in ms.

    What the store says of a subject replaces what was counted here.
    """

    def __init__(self, clock: Callable[[], int], *, most_subjects: int = MOST_SUBJECTS) -> None:
        self._clock = clock
        self._most_subjects = most_subjects
        self._known: OrderedDict[str, tuple[int, Tallies]] = OrderedDict()
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

    async def admit(self, ask: Ask) -> Decision:
        """As `QuotaStore.admit`, against the counters of this process. Versions of records are not compared."""
        return await self._counters(ask.subject).admit(replace(ask, user_version=None))

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """As `QuotaStore.settle`, in the counters of this process. A second one by the same id counts again."""
        counters = self._counters(receipt.subject)
        settled = await counters.settle(receipt, charge)
        counters.forget_ended(receipt.subject)
        return settled

    def _counters(self, subject: str) -> "_Counters":
        counters = self._counting.get(subject)
        if counters is None:
            counters = self._counting[subject] = _Counters(self._clock)
            known = self._known.get(subject)
            if known is not None:
                counters.begin(subject, *known)
            if len(self._counting) > self._most_subjects:
                self._counting.popitem(last=False)
        self._counting.move_to_end(subject)
        return counters


class _Counters(MemoryStore):
    """The counters of one subject."""

    knows_keys = False

    def begin(self, subject: str, at_ms: int, tallies: Tallies) -> None:
        """Start from settled use as it was at `at_ms`. What was held then is not: its requests are settled here too."""
        self._accounts[subject] = _Account()
        for window, tally in tallies.items():
            used = Tally(tally.requests_used, tally.tokens_used, tally.nano_usd_used)
            self._accounts[subject].windows[window, window_index(window, at_ms)] = used

    def forget_ended(self, subject: str) -> None:
        """Keep nothing of requests that are over but what they have used."""
        self._accounts[subject].events.clear()
