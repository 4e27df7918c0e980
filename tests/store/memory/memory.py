"""A store in one process's memory: the contract in plain Python, which the real one is compared with."""

from collections.abc import Callable, Iterable

from scalix.domain.ledger.ledger import Balance
from scalix.domain.ledger.outcomes import event_of_charge, swept_charge
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import UNLIMITED, Amounts, Window
from scalix.domain.limits.quota import (
    ANY_LIMIT,
    UNKNOWN_VERSION,
    Admitted,
    Ask,
    Charge,
    Decision,
    Finished,
    KeyTallies,
    Outcome,
    Receipt,
    Settled,
    Stale,
    Tally,
)
from scalix.domain.limits.room import judged
from scalix.domain.limits.tallying import (
    NOTHING,
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
from tests.store.memory.memory_accounts import Account, Reservation
from tests.store.memory.memory_limits import MemoryCounters


class MemoryStore(MemoryCounters):
    """A `QuotaStore` and a `UserStore`. `clock` returns Unix time in ms."""

    async def admit(self, ask: Ask) -> Decision:
        now_ms = self._clock()
        stale = self._stale(ask)
        if stale is not None:
            return stale
        account = self._accounts.setdefault(ask.subject, Account())
        if ask.request_id in account.released:
            return Finished()
        windows = self._windows_of(ask.subject, now_ms)
        if windows is None:
            windows = account.windows
        balance = self._balances.get(ask.subject) if ask.is_billed else None
        known = account.in_flight.get(ask.request_id)
        if known:
            receipt = known.receipt
            tallies = current(windows, receipt.admitted_ms, receipt.tracks_minutes)
            key_tallies = self._key_tallies(receipt)
            return Admitted(receipt, tallies, len(account.in_flight), key_tallies=key_tallies, balance=balance)

        receipt = receipt_of(ask, now_ms)
        tracks_minutes = receipt.tracks_minutes
        tallies = current(windows, now_ms, tracks_minutes)
        turned = any(key not in windows for key in windows_at(now_ms, tracks_minutes))
        in_flight = len(account.in_flight)
        key_tallies = self._key_tallies(receipt)
        said = judged(ask, receipt, tallies, key_tallies, in_flight=in_flight, balance=balance)
        if not isinstance(said, Admitted):
            return said
        receipt, shadow = said.receipt, said.shadow
        if shadow and ask.tier:
            today = window_index(Window.DAY, now_ms)
            self._shadow.update((today, ask.tier, name) for name in (*shadow, ANY_LIMIT))
        reservation = _reservation(ask, receipt, balance)
        account.in_flight[ask.request_id] = reservation
        self._change_all(receipt, used=NOTHING, held=reservation.held)
        changed = self._change_balance(ask.subject, nano_usd=0, held=reservation.balance_held)
        self._prune_key(ask.key, now_ms)
        if turned:
            for key in ended(windows, {window: window_index(window, now_ms) - 1 for window in Window}):
                del windows[key]
        tallies = current(windows, now_ms, tracks_minutes)
        return Admitted(receipt, tallies, in_flight + 1, shadow, self._key_tallies(receipt), changed or balance)

    def _stale(self, ask: Ask) -> Stale | None:
        user = self._users.get(ask.subject.removeprefix("user:"))
        version = user.version if user and ask.subject.startswith("user:") else UNKNOWN_VERSION
        if ask.user_version not in (None, version):
            return Stale(version)
        if ask.key is not None:
            known_key = self.keys.get(ask.key.key_id)
            version = known_key.version if known_key else UNKNOWN_VERSION
            if version != ask.key.version:
                return Stale(version, "key")
        return None

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        is_before = self._is_before_erasure(receipt.subject, receipt.admitted_ms)
        account = self._nobodys if is_before else self._accounts.setdefault(receipt.subject, Account())
        windows = self._windows_of(receipt.subject, receipt.admitted_ms) or {}
        before = account.events.get(receipt.request_id)
        if before and before.outcome != Outcome.SWEPT.value:
            return Settled("duplicate", current(windows, receipt.admitted_ms, receipt.tracks_minutes))
        nano_usd, held = -charge.detail.charge_nano_usd, 0
        if before:
            swept = account.swept.pop(receipt.request_id)
            nano_usd += swept.balance_charged
            self._change_all(swept.receipt, used=minus(swept.if_swept), held=NOTHING)
        reservation = account.in_flight.pop(receipt.request_id, None)
        if reservation:
            held = -reservation.balance_held
            self._change_all(reservation.receipt, used=NOTHING, held=minus(reservation.held))
        self._change_all(receipt, used=amounts(charge), held=NOTHING)
        balance = self._change_balance(receipt.subject, nano_usd=nano_usd, held=held)
        account.events[receipt.request_id] = event_of_charge(receipt, charge)
        if charge.outcome is Outcome.SWEPT:
            account.swept[receipt.request_id] = _told(receipt, charge)
        windows = self._windows_of(receipt.subject, receipt.admitted_ms) or {}
        tallies = current(windows, receipt.admitted_ms, receipt.tracks_minutes)
        known_key = receipt.key_id in self.keys
        key_tallies = self._key_tallies(receipt) if known_key else {}
        return Settled("replaced" if before else "settled", tallies, key_tallies, balance)

    async def release(self, request_id: str, subject: str, key_id: str | None = None, at_ms: int | None = None) -> bool:
        account = self._accounts.setdefault(subject, Account())
        account.released.add(request_id)
        reservation = account.in_flight.pop(request_id, None)
        if reservation:
            self._change_all(reservation.receipt, used=NOTHING, held=minus(reservation.held))
            self._change_balance(subject, nano_usd=0, held=-reservation.balance_held)
            return True
        if request_id in self._nobodys.swept:
            account = self._nobodys
        swept = account.swept.get(request_id)
        now_ms = self._clock()
        looked_at = (now_ms, now_ms - DAY_MS) if at_ms is None else (at_ms - DAY_MS // 2, at_ms + DAY_MS // 2)
        if swept and swept.receipt.admitted_ms // DAY_MS in [moment // DAY_MS for moment in looked_at]:
            del account.swept[request_id]
            del account.events[request_id]
            self._change_all(swept.receipt, used=minus(swept.if_swept), held=NOTHING)
            self._change_balance(subject, nano_usd=swept.balance_charged, held=0)
            return True
        return False

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        for receipt in receipts:
            account = self._accounts.get(receipt.subject)
            if account and receipt.request_id in account.in_flight:
                account.in_flight[receipt.request_id].lapses_ms = self._clock() + lease_ms

    async def sweep(self, note: Callable[[str], object] = lambda request_id: None) -> int:
        return sum(self._sweep_account(subject, account, note) for subject, account in self._accounts.items())

    def _sweep_account(self, subject: str, account: Account, note: Callable[[str], object]) -> int:
        swept = 0
        lapsed = [key for key, item in account.in_flight.items() if item.lapses_ms <= self._clock()]
        for request_id in lapsed:
            reservation = account.in_flight.pop(request_id)
            known = request_id in account.events
            used = NOTHING if known else reservation.if_swept
            self._change_all(reservation.receipt, used=used, held=minus(reservation.held))
            event = event_of_charge(reservation.receipt, swept_charge(reservation.ask))
            charge = 0 if known else event.detail.charge_nano_usd
            changed = self._change_balance(subject, nano_usd=-charge, held=-reservation.balance_held)
            if not known:
                reservation.balance_charged = charge if changed else 0
                account.swept[request_id] = reservation
                account.events[request_id] = event
                note(request_id)
                swept += 1
        return swept

    def _change_all(self, receipt: Receipt, *, used: Amounts, held: Amounts) -> None:
        """In the windows of the subject, and of the key that the request came with, unless it was deleted."""
        windows = self._windows_of(receipt.subject, receipt.admitted_ms)
        if windows is not None:
            change(windows, windows_at(receipt.admitted_ms, receipt.tracks_minutes), used=used, held=held)
        if receipt.key_id in self.keys:
            of_key = self.key_windows.setdefault(receipt.key_id, {})
            change(of_key, windows_of_key(receipt.admitted_ms, receipt.budget_start_ms), used=used, held=held)

    def _key_tallies(self, receipt: Receipt) -> KeyTallies:
        if receipt.key_id is None:
            return {}
        windows = self.key_windows.get(receipt.key_id, {})
        keys = windows_of_key(receipt.admitted_ms, receipt.budget_start_ms)
        return {key[0]: windows.get(key, Tally()) for key in keys}

    def _prune_key(self, scope: KeyScope | None, now_ms: int) -> None:
        if scope is None or scope.key_id not in self.key_windows:
            return
        first_kept = {
            KeyWindow.MINUTE: window_index(Window.MINUTE, now_ms) - 1,
            KeyWindow.BUDGET: now_ms - scope.budget_period_ms - DAY_MS,
        }
        windows = self.key_windows[scope.key_id]
        for key in ended(windows, first_kept):
            del windows[key]


def _reservation(ask: Ask, receipt: Receipt, balance: Balance | None) -> Reservation:
    held = held_by(ask, receipt)
    if_swept = amounts(swept_charge(ask))
    lapses_ms = receipt.admitted_ms + ask.lease_ms
    return Reservation(ask, receipt, held, if_swept, lapses_ms, held[2] if balance is not None else 0)


def _told(receipt: Receipt, charge: Charge) -> Reservation:
    """What a settlement or a release undoes of a sweep's charge that came from a journal."""
    ask = Ask(receipt.request_id, receipt.subject, UNLIMITED, receipt.prompt_tokens, 0, 0)
    nano_usd = charge.detail.charge_nano_usd
    return Reservation(ask, receipt, NOTHING, amounts(charge), 0, balance_charged=nano_usd)
