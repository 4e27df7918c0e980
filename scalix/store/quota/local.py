"""Counters of one process for the time that the store is away: bounded, and begun from what was last known."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from scalix.domain.bounded import Bounded
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Amounts, Window
from scalix.domain.limits.quota import Admitted, Ask, Charge, Decision, KeyTallies, Receipt, Settled, Tallies, Tally
from scalix.domain.limits.room import judged
from scalix.domain.limits.tallying import (
    NOTHING,
    KeyWindows,
    Windows,
    amounts,
    change,
    current,
    ended,
    held_by,
    minus,
    receipt_of,
    windows_at,
    windows_of_key,
)

MOST_SUBJECTS = 10_000
_SAME_TIME_MS = 60_000
_Noted = TypeVar("_Noted")


class LocalCounters:
    """Counts the `most_subjects` that were seen last, and as many virtual keys. `clock` returns Unix time in ms.

    What the store says of a subject replaces what was counted here.
    """

    def __init__(self, clock: Callable[[], int], *, most_subjects: int = MOST_SUBJECTS) -> None:
        self._clock = clock
        self._known: Bounded[str, tuple[int, Tallies]] = Bounded(most_subjects)
        self._known_keys: Bounded[str, tuple[int, Tally]] = Bounded(most_subjects)
        self._counting: Bounded[str, _Counters] = Bounded(most_subjects)

    def learn(self, subject: str, at_ms: int, tallies: Tallies) -> None:
        """Note the store's own figures for the windows that `at_ms` lies in. Older ones than known say nothing."""
        self._counting.pop(subject, None)
        if tallies:
            _note(self._known, subject, at_ms, tallies)

    def learn_key(self, key_id: str, at_ms: int, tallies: KeyTallies) -> None:
        """As `learn`, for a virtual key's use in the minute that `at_ms` lies in: budgets are not held here."""
        if KeyWindow.MINUTE in tallies:
            _note(self._known_keys, key_id, at_ms, tallies[KeyWindow.MINUTE])

    def now_ms(self) -> int:
        """Unix time, by this process's clock."""
        return self._clock()

    async def admit(self, ask: Ask) -> Decision:
        """As `QuotaStore.admit`, against the counters of this process. Versions of records are not compared, and
        balances, which are not known here, not asked."""
        counters = self._counters(ask.subject, ask.key.key_id if ask.key else None)
        return counters.admit(replace(ask, is_billed=False), self._clock())

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """As `QuotaStore.settle`, in the counters of this process. A second one by the same id counts again."""
        return self._counters(receipt.subject, receipt.key_id).settle(receipt, charge)

    def _counters(self, subject: str, key_id: str | None) -> "_Counters":
        counters = self._counting.used(subject)
        if counters is None:
            counters = self._counting[subject] = _Counters()
            known = self._known.get(subject)
            if known is not None:
                counters.begin(*known)
        if key_id is not None and key_id not in counters.key_windows and key_id in self._known_keys:
            counters.begin_key(key_id, *self._known_keys[key_id])
        return counters


def _note(known: Bounded[str, tuple[int, _Noted]], name: str, at_ms: int, noted: _Noted) -> None:
    before = known.get(name)
    if before is None or before[0] - at_ms <= _SAME_TIME_MS:
        known[name] = (at_ms, noted)


class _Counters:
    """The counters of one subject, and of the keys that its requests came with."""

    def __init__(self) -> None:
        self.windows: Windows = {}
        self.key_windows: dict[str, KeyWindows] = {}
        self._in_flight: dict[str, tuple[Receipt, Amounts]] = {}

    def begin(self, at_ms: int, tallies: Tallies) -> None:
        """Start from settled use as it was at `at_ms`. What was held then is not: its requests are settled here too."""
        for window, tally in tallies.items():
            self.windows[window, window_index(window, at_ms)] = tally.without_held()

    def begin_key(self, key_id: str, at_ms: int, minute: Tally) -> None:
        """As `begin`, for a virtual key's use in the minute that `at_ms` lies in."""
        self.key_windows[key_id] = {(KeyWindow.MINUTE, window_index(Window.MINUTE, at_ms)): minute.without_held()}

    def admit(self, ask: Ask, now_ms: int) -> Decision:
        """Reserve room, if there is."""
        known = self._in_flight.get(ask.request_id)
        receipt = receipt_of(ask, now_ms) if known is None else known[0]
        tallies, key_tallies = self._tallies(receipt)
        if known is not None:
            return Admitted(receipt, tallies, len(self._in_flight), key_tallies=key_tallies)
        said = judged(ask, receipt, tallies, key_tallies, in_flight=len(self._in_flight))
        if not isinstance(said, Admitted):
            return said
        held = held_by(ask, said.receipt)
        self._in_flight[ask.request_id] = (said.receipt, held)
        self._forget_ended(now_ms)
        self._change(said.receipt, used=NOTHING, held=held)
        tallies, key_tallies = self._tallies(said.receipt)
        return Admitted(said.receipt, tallies, len(self._in_flight), said.shadow, key_tallies)

    def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """Charge a request, and give back what it held."""
        admitted, held = self._in_flight.pop(receipt.request_id, (receipt, NOTHING))
        self._change(admitted, used=NOTHING, held=minus(held))
        self._change(receipt, used=amounts(charge), held=NOTHING)
        return Settled("settled", *self._tallies(receipt))

    def _forget_ended(self, now_ms: int) -> None:
        for key in ended(self.windows, {window: window_index(window, now_ms) - 1 for window in Window}):
            del self.windows[key]
        for windows in self.key_windows.values():
            for of_key in ended(windows, {KeyWindow.MINUTE: window_index(Window.MINUTE, now_ms) - 1}):
                del windows[of_key]

    def _tallies(self, receipt: Receipt) -> tuple[Tallies, KeyTallies]:
        tallies = current(self.windows, receipt.admitted_ms, receipt.tracks_minutes)
        if receipt.key_id is None:
            return tallies, {}
        of_key = self.key_windows.get(receipt.key_id, {})
        keys = windows_of_key(receipt.admitted_ms, receipt.budget_start_ms)
        return tallies, {key[0]: of_key.get(key, Tally()) for key in keys}

    def _change(self, receipt: Receipt, *, used: Amounts, held: Amounts) -> None:
        change(self.windows, windows_at(receipt.admitted_ms, receipt.tracks_minutes), used=used, held=held)
        if receipt.key_id is not None:
            of_key = self.key_windows.setdefault(receipt.key_id, {})
            change(of_key, windows_of_key(receipt.admitted_ms, receipt.budget_start_ms), used=used, held=held)
