"""A store in one process's memory: the contract in plain Python, and the local counters when the real one is away."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from scalix.domain.calendar import window_index
from scalix.domain.key_limits import KeyScope, KeyWindow
from scalix.domain.limits import Metric, Window
from scalix.domain.quota import (
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
    Refused,
    Settled,
    ShadowCount,
    Stale,
    Tallies,
    Tally,
    Verdict,
    shadowed,
)
from scalix.domain.virtual_keys import KeyRecord
from scalix.store.base import RecordChanged, UserExists, UserRecord

Amounts = tuple[int, int, int]  # requests, tokens, nano-dollars
_NOTHING: Amounts = (0, 0, 0)
_DAY_MS = 86_400_000
_USED = {Metric.REQUESTS: "requests_used", Metric.TOKENS: "tokens_used", Metric.SPEND: "nano_usd_used"}


@dataclass(slots=True)
class _Reservation:
    receipt: Receipt
    held: Amounts
    if_swept: Amounts
    lapses_ms: int


@dataclass(slots=True)
class _Account:
    windows: dict[tuple[Window, int], Tally] = field(default_factory=dict)
    in_flight: dict[str, _Reservation] = field(default_factory=dict)
    events: dict[str, Charge] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    swept: dict[str, _Reservation] = field(default_factory=dict)


KeyWindows = dict[tuple[KeyWindow, int], Tally]


class MemoryStore:
    """A `QuotaStore` and a `UserStore`. `clock` returns Unix time in ms. `knows_keys` false: takes any virtual key."""

    knows_keys = True

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.keys: dict[str, KeyRecord] = {}  # by id; written by `MemoryKeyStore`
        self.key_windows: dict[str, KeyWindows] = {}
        self._accounts: dict[str, _Account] = {}
        self._users: dict[str, UserRecord] = {}
        self._versions = 0
        self._shadow: Counter[tuple[int, str, str]] = Counter()
        self._merged: set[str] = set()

    async def admit(self, ask: Ask) -> Decision:
        now_ms = self._clock()
        user = self._users.get(ask.subject.removeprefix("user:"))
        version = user.version if user and ask.subject.startswith("user:") else UNKNOWN_VERSION
        if ask.user_version not in (None, version):
            return Stale(version)
        if ask.key is not None and self.knows_keys:
            known_key = self.keys.get(ask.key.key_id)
            version = known_key.version if known_key else UNKNOWN_VERSION
            if version != ask.key.version:
                return Stale(version, "key")
        account = self._accounts.setdefault(ask.subject, _Account())
        if ask.request_id in account.released:
            return Finished()
        known = account.in_flight.get(ask.request_id)
        if known:
            receipt = known.receipt
            tallies = _current(account, receipt.admitted_ms, receipt.tracks_minutes)
            return Admitted(receipt, tallies, len(account.in_flight), key_tallies=self._key_tallies(receipt))

        tracks_minutes = any(limit.window is Window.MINUTE for limit in ask.limits.windows)
        tallies = _current(account, now_ms, tracks_minutes)
        turned = any(key not in account.windows for key in _windows(now_ms, tracks_minutes))
        in_flight = len(account.in_flight)
        least = ask.choices * ask.min_output_tokens
        needs = {
            Metric.REQUESTS: 1,
            Metric.TOKENS: ask.prompt_tokens + least,
            Metric.SPEND: ask.prices.cost_nano_usd(ask.prompt_tokens, least),
        }
        verdicts = tuple(
            _verdict(limit.metric, limit.value, tallies[limit.window], needs) for limit in ask.limits.windows
        )
        full = ask.limits.concurrent is not None and in_flight >= ask.limits.concurrent
        budget_start_ms = ask.key.budget_start_ms(now_ms) if ask.key else 0
        key_id = ask.key.key_id if ask.key else None
        receipt = Receipt(ask.request_id, ask.subject, now_ms, ask.prompt_tokens, 0, tracks_minutes)
        receipt = replace(receipt, key_id=key_id, budget_start_ms=budget_start_ms)
        key_tallies = self._key_tallies(receipt)
        key_verdicts, key_full = _key_verdicts(ask.key, key_tallies, needs)
        if (
            (full and ask.limits.enforce_concurrent)
            or any(
                limit.enforce and verdict is not Verdict.FITS
                for limit, verdict in zip(ask.limits.windows, verdicts, strict=True)
            )
            or key_full
            or any(verdict is not Verdict.FITS for verdict in key_verdicts)
        ):
            return Refused(now_ms, verdicts, full, tallies, in_flight, key_verdicts, key_full, key_tallies)

        shadow = shadowed(ask.limits, verdicts, full)
        if shadow and ask.tier:
            today = window_index(Window.DAY, now_ms)
            self._shadow.update((today, ask.tier, name) for name in (*shadow, ANY_LIMIT))
        cap = max(ask.min_output_tokens, min(ask.output_cap_tokens, _cap_by_room(ask, tallies, key_tallies)))
        receipt = replace(receipt, output_cap_tokens=cap)
        output = ask.choices * cap
        held = (1, ask.prompt_tokens + output, ask.prices.cost_nano_usd(ask.prompt_tokens, output))
        if_swept = (1, ask.prompt_tokens, ask.prices.cost_nano_usd(ask.prompt_tokens, 0))
        account.in_flight[ask.request_id] = _Reservation(receipt, held, if_swept, now_ms + ask.lease_ms)
        self._change_all(account, receipt, used=_NOTHING, held=held)
        self._prune_key(ask.key, now_ms)
        if turned:
            account.windows = {
                key: tally for key, tally in account.windows.items() if key[1] >= window_index(key[0], now_ms) - 1
            }
        return Admitted(
            receipt,
            _current(account, now_ms, tracks_minutes),
            in_flight + 1,
            shadow,
            self._key_tallies(receipt),
        )

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        account = self._accounts.setdefault(receipt.subject, _Account())
        before = account.events.get(receipt.request_id)
        if before and before.outcome is not Outcome.SWEPT:
            return Settled("duplicate", _current(account, receipt.admitted_ms, receipt.tracks_minutes))
        if before:
            swept = account.swept.pop(receipt.request_id)
            self._change_all(account, swept.receipt, used=_minus(_NOTHING, swept.if_swept), held=_NOTHING)
        reservation = account.in_flight.pop(receipt.request_id, None)
        if reservation:
            self._change_all(account, reservation.receipt, used=_NOTHING, held=_minus(_NOTHING, reservation.held))
        self._change_all(account, receipt, used=_amounts(charge), held=_NOTHING)
        account.events[receipt.request_id] = charge
        tallies = _current(account, receipt.admitted_ms, receipt.tracks_minutes)
        return Settled("replaced" if before else "settled", tallies)

    async def release(self, request_id: str, subject: str, key_id: str | None = None) -> bool:
        account = self._accounts.setdefault(subject, _Account())
        account.released.add(request_id)
        reservation = account.in_flight.pop(request_id, None)
        if reservation:
            self._change_all(account, reservation.receipt, used=_NOTHING, held=_minus(_NOTHING, reservation.held))
            return True
        swept = account.swept.get(request_id)
        today = window_index(Window.DAY, self._clock())
        if swept and today - window_index(Window.DAY, swept.receipt.admitted_ms) in (0, 1):
            del account.swept[request_id]
            del account.events[request_id]
            self._change_all(account, swept.receipt, used=_minus(_NOTHING, swept.if_swept), held=_NOTHING)
            return True
        return False

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        for receipt in receipts:
            account = self._accounts.get(receipt.subject)
            if account and receipt.request_id in account.in_flight:
                account.in_flight[receipt.request_id].lapses_ms = self._clock() + lease_ms

    async def sweep(self) -> int:
        return sum(self._sweep_account(account) for account in self._accounts.values())

    def _sweep_account(self, account: _Account) -> int:
        swept = 0
        lapsed = [key for key, item in account.in_flight.items() if item.lapses_ms <= self._clock()]
        for request_id in lapsed:
            reservation = account.in_flight.pop(request_id)
            known = request_id in account.events
            used = _NOTHING if known else reservation.if_swept
            self._change_all(account, reservation.receipt, used=used, held=_minus(_NOTHING, reservation.held))
            if not known:
                account.swept[request_id] = reservation
                account.events[request_id] = Charge(Outcome.SWEPT, *reservation.if_swept, estimated=True)
                swept += 1
        return swept

    def _change_all(self, account: _Account, receipt: Receipt, *, used: Amounts, held: Amounts) -> None:
        """In the windows of the subject, and of the key that the request came with, unless it was deleted."""
        _change(account, receipt, used=used, held=held)
        if receipt.key_id is not None and (receipt.key_id in self.keys or not self.knows_keys):
            windows = self.key_windows.setdefault(receipt.key_id, {})
            for key in _windows_of_key(receipt.admitted_ms, receipt.budget_start_ms):
                windows[key] = _changed(windows.get(key, Tally()), used, held)

    def _key_tallies(self, receipt: Receipt) -> KeyTallies:
        if receipt.key_id is None:
            return {}
        windows = self.key_windows.get(receipt.key_id, {})
        keys = _windows_of_key(receipt.admitted_ms, receipt.budget_start_ms)
        return {key[0]: windows.get(key, Tally()) for key in keys}

    def _prune_key(self, scope: KeyScope | None, now_ms: int) -> None:
        if scope is None or scope.key_id not in self.key_windows:
            return
        minute, start_ms = window_index(Window.MINUTE, now_ms), scope.budget_start_ms(now_ms)

        def stays(window: KeyWindow, index: int) -> bool:
            if window is KeyWindow.MINUTE:
                return index >= minute - 1
            if window is KeyWindow.BUDGET and index != start_ms:
                return index + scope.budget_period_ms + _DAY_MS >= now_ms
            return True

        windows = self.key_windows[scope.key_id]
        self.key_windows[scope.key_id] = {key: tally for key, tally in windows.items() if stays(*key)}

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        now_ms = self._clock()
        kept = self._accounts.get(subject, _Account()).windows
        return now_ms, {key[0]: kept[key] for key in _windows(now_ms, True) if key in kept}

    async def in_flight(self, subject: str) -> int:
        return len(self._accounts.get(subject, _Account()).in_flight)

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        now_ms = self._clock()
        account = self._accounts.get(subject, _Account())
        before: Tallies = {}
        for window in Window:
            key = (window, window_index(window, now_ms))
            if key in account.windows:
                before[window] = account.windows[key]
                zeroed = {_USED[metric]: 0 for metric, of in what if of is window}
                account.windows[key] = replace(before[window], **zeroed)
        return now_ms, before

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        if subject in self._merged:
            return False
        self._merged.add(subject)
        account = self._accounts.setdefault(subject, _Account())
        for window, given in tallies.items():
            key = (window, window_index(window, read_ms))
            if key in _windows(self._clock(), True):
                tally = account.windows.get(key, Tally())
                account.windows[key] = replace(
                    tally,
                    **{name: max(tally.used(of), given.used(of) + given.held(of)) for of, name in _USED.items()},
                )
        return True

    async def shadow_counts(self, days: int) -> list[ShadowCount]:
        today = window_index(Window.DAY, self._clock())
        return [ShadowCount(*key, requests) for key, requests in self._shadow.items() if key[0] > today - days]

    async def get(self, user_id: str) -> UserRecord:
        return self._users.get(user_id, UserRecord(user_id))

    async def create(self, record: UserRecord) -> UserRecord:
        if record.user_id in self._users:
            raise UserExists(record.user_id)
        return await self.update(replace(record, version=UNKNOWN_VERSION))

    async def update(self, record: UserRecord) -> UserRecord:
        before = self._users.get(record.user_id)
        if record.version != (before.version if before else UNKNOWN_VERSION):
            raise RecordChanged(record.user_id)
        self._versions += 1
        now_ms = self._clock()
        created_ms = before.created_ms if before else now_ms
        written = replace(record, version=str(self._versions), created_ms=created_ms, updated_ms=now_ms)
        self._users[record.user_id] = written
        return written

    async def delete(self, user_id: str) -> bool:
        self._accounts.pop(f"user:{user_id}", None)
        self._merged.discard(f"user:{user_id}")
        return self._users.pop(user_id, None) is not None

    async def page(self, first: int, most: int) -> tuple[int, list[UserRecord]]:
        return len(self._users), [self._users[name] for name in sorted(self._users)[first : first + most]]


def _verdict(metric: Metric, value: int, tally: Tally, needs: dict[Metric, int]) -> Verdict:
    used, need = tally.used(metric), needs[metric]
    if used + tally.held(metric) + need <= value:
        return Verdict.FITS
    return Verdict.RESERVED if metric is not Metric.REQUESTS and used + need <= value else Verdict.EXHAUSTED


def _key_verdicts(
    scope: KeyScope | None, tallies: KeyTallies, needs: dict[Metric, int]
) -> tuple[tuple[Verdict, ...], bool]:
    """What each limit of the key says, and whether it has as many requests in flight as it may."""
    if scope is None:
        return (), False
    verdicts = tuple(_verdict(limit.metric, limit.value, tallies[limit.window], needs) for limit in scope.limits)
    return verdicts, scope.concurrent is not None and tallies[KeyWindow.TOTAL].requests_held >= scope.concurrent


def _cap_by_room(ask: Ask, tallies: Tallies, key_tallies: KeyTallies) -> int:
    caps = [ask.output_cap_tokens]
    limits = [(limit.metric, limit.value, tallies[limit.window]) for limit in ask.limits.windows if limit.enforce]
    limits += [(limit.metric, limit.value, key_tallies[limit.window]) for limit in (ask.key.limits if ask.key else ())]
    for metric, value, tally in limits:
        room = value - tally.used(metric) - tally.held(metric)
        if metric is Metric.TOKENS:
            caps.append((room - ask.prompt_tokens) // ask.choices)
        elif metric is Metric.SPEND and ask.prices.output_pico_usd_per_token:
            room_pico = (min(room, 9 * 10**12) - ask.prices.request_nano_usd) * 1000
            room_pico -= ask.prompt_tokens * ask.prices.input_pico_usd_per_token
            caps.append(room_pico // (ask.choices * ask.prices.output_pico_usd_per_token))
    return min(caps)


def _windows(at_ms: int, tracks_minutes: bool) -> list[tuple[Window, int]]:
    return [(window, window_index(window, at_ms)) for window in Window if tracks_minutes or window is not Window.MINUTE]


def _current(account: _Account, at_ms: int, tracks_minutes: bool) -> Tallies:
    return {key[0]: account.windows.get(key, Tally()) for key in _windows(at_ms, tracks_minutes)}


def _change(account: _Account, receipt: Receipt, *, used: Amounts, held: Amounts) -> None:
    for key in _windows(receipt.admitted_ms, receipt.tracks_minutes):
        account.windows[key] = _changed(account.windows.get(key, Tally()), used, held)


def _changed(tally: Tally, used: Amounts, held: Amounts) -> Tally:
    return Tally(
        max(0, tally.requests_used + used[0]),
        max(0, tally.tokens_used + used[1]),
        max(0, tally.nano_usd_used + used[2]),
        max(0, tally.requests_held + held[0]),
        max(0, tally.tokens_held + held[1]),
        max(0, tally.nano_usd_held + held[2]),
    )


def _windows_of_key(at_ms: int, budget_start_ms: int) -> list[tuple[KeyWindow, int]]:
    windows = [(KeyWindow.MINUTE, window_index(Window.MINUTE, at_ms)), (KeyWindow.TOTAL, 0)]
    return [*windows, (KeyWindow.BUDGET, budget_start_ms)] if budget_start_ms else windows


def _amounts(charge: Charge) -> Amounts:
    return (charge.requests, charge.tokens, charge.nano_usd)


def _minus(left: Amounts, right: Amounts) -> Amounts:
    return (left[0] - right[0], left[1] - right[1], left[2] - right[2])
