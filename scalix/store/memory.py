"""A store in one process's memory: the contract in plain Python, and the local counters when the real one is away."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from scalix.domain.calendar import window_index
from scalix.domain.limits import Metric, Window
from scalix.domain.quota import (
    UNKNOWN_VERSION,
    Admitted,
    Ask,
    Charge,
    Decision,
    Finished,
    Outcome,
    Receipt,
    Refused,
    Settled,
    Stale,
    Tallies,
    Tally,
    Verdict,
    shadowed,
)
from scalix.store.base import UserExists, UserRecord

Amounts = tuple[int, int, int]  # requests, tokens, nano-dollars
_NOTHING: Amounts = (0, 0, 0)


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


class MemoryStore:
    """A `QuotaStore` and a `UserStore`. `clock` returns Unix time in ms."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._users: dict[str, UserRecord] = {}
        self._versions = 0

    async def admit(self, ask: Ask) -> Decision:
        now_ms = self._clock()
        user = self._users.get(ask.subject.removeprefix("user:"))
        version = user.version if user and ask.subject.startswith("user:") else UNKNOWN_VERSION
        if ask.user_version not in (None, version):
            return Stale(version)
        account = self._accounts.setdefault(ask.subject, _Account())
        if ask.request_id in account.released:
            return Finished()
        known = account.in_flight.get(ask.request_id)
        if known:
            receipt = known.receipt
            tallies = _current(account, receipt.admitted_ms, receipt.tracks_minutes)
            return Admitted(receipt, tallies, len(account.in_flight))

        tracks_minutes = any(limit.window is Window.MINUTE for limit in ask.limits.windows)
        tallies = _current(account, now_ms, tracks_minutes)
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
        if (full and ask.limits.enforce_concurrent) or any(
            limit.enforce and verdict is not Verdict.FITS
            for limit, verdict in zip(ask.limits.windows, verdicts, strict=True)
        ):
            return Refused(now_ms, verdicts, full, tallies, in_flight)

        cap = max(ask.min_output_tokens, min(ask.output_cap_tokens, _cap_by_room(ask, tallies)))
        receipt = Receipt(ask.request_id, ask.subject, now_ms, ask.prompt_tokens, cap, tracks_minutes)
        output = ask.choices * cap
        held = (1, ask.prompt_tokens + output, ask.prices.cost_nano_usd(ask.prompt_tokens, output))
        if_swept = (1, ask.prompt_tokens, ask.prices.cost_nano_usd(ask.prompt_tokens, 0))
        account.in_flight[ask.request_id] = _Reservation(receipt, held, if_swept, now_ms + ask.lease_ms)
        _change(account, receipt, used=_NOTHING, held=held)
        current = {(window, window_index(window, now_ms)) for window in Window}
        account.windows = {
            key: tally
            for key, tally in account.windows.items()
            if key in current or key[1] > window_index(key[0], now_ms)
        }
        return Admitted(
            receipt,
            _current(account, now_ms, tracks_minutes),
            in_flight + 1,
            shadowed(ask.limits, verdicts, full),
        )

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        account = self._accounts.setdefault(receipt.subject, _Account())
        before = account.events.get(receipt.request_id)
        if before and before.outcome is not Outcome.SWEPT:
            return Settled("duplicate", _current(account, receipt.admitted_ms, receipt.tracks_minutes))
        used = _amounts(charge)
        if before:
            used = _minus(used, _amounts(before))
        reservation = account.in_flight.pop(receipt.request_id, None)
        held = _minus(_NOTHING, reservation.held) if reservation else _NOTHING
        _change(account, receipt, used=used, held=held)
        account.events[receipt.request_id] = charge
        tallies = _current(account, receipt.admitted_ms, receipt.tracks_minutes)
        return Settled("replaced" if before else "settled", tallies)

    async def release(self, request_id: str, subject: str) -> bool:
        account = self._accounts.setdefault(subject, _Account())
        reservation = account.in_flight.pop(request_id, None)
        if reservation is None:
            account.released.add(request_id)
            return False
        _change(account, reservation.receipt, used=_NOTHING, held=_minus(_NOTHING, reservation.held))
        return True

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
            _change(account, reservation.receipt, used=used, held=_minus(_NOTHING, reservation.held))
            if not known:
                account.events[request_id] = Charge(Outcome.SWEPT, *reservation.if_swept, estimated=True)
                swept += 1
        return swept

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        now_ms = self._clock()
        return now_ms, _current(self._accounts.get(subject, _Account()), now_ms, True)

    async def get(self, user_id: str) -> UserRecord:
        return self._users.get(user_id, UserRecord(user_id))

    async def create(self, record: UserRecord) -> UserRecord:
        if record.user_id in self._users:
            raise UserExists(record.user_id)
        return await self.update(record)

    async def update(self, record: UserRecord) -> UserRecord:
        self._versions += 1
        before = self._users.get(record.user_id)
        now_ms = self._clock()
        created_ms = before.created_ms if before else now_ms
        written = replace(record, version=str(self._versions), created_ms=created_ms, updated_ms=now_ms)
        self._users[record.user_id] = written
        return written

    async def delete(self, user_id: str) -> bool:
        self._accounts.pop(f"user:{user_id}", None)
        return self._users.pop(user_id, None) is not None


def _verdict(metric: Metric, value: int, tally: Tally, needs: dict[Metric, int]) -> Verdict:
    used, need = tally.used(metric), needs[metric]
    if used + tally.held(metric) + need <= value:
        return Verdict.FITS
    return Verdict.RESERVED if metric is not Metric.REQUESTS and used + need <= value else Verdict.EXHAUSTED


def _cap_by_room(ask: Ask, tallies: Tallies) -> int:
    caps = [ask.output_cap_tokens]
    for limit in ask.limits.windows:
        tally = tallies[limit.window]
        room = limit.value - tally.used(limit.metric) - tally.held(limit.metric)
        if limit.enforce and limit.metric is Metric.TOKENS:
            caps.append((room - ask.prompt_tokens) // ask.choices)
        elif limit.enforce and limit.metric is Metric.SPEND and ask.prices.output_pico_usd_per_token:
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
        tally = account.windows.get(key, Tally())
        account.windows[key] = Tally(
            max(0, tally.requests_used + used[0]),
            max(0, tally.tokens_used + used[1]),
            max(0, tally.nano_usd_used + used[2]),
            max(0, tally.requests_held + held[0]),
            max(0, tally.tokens_held + held[1]),
            max(0, tally.nano_usd_held + held[2]),
        )


def _amounts(charge: Charge) -> Amounts:
    return (charge.requests, charge.tokens, charge.nano_usd)


def _minus(left: Amounts, right: Amounts) -> Amounts:
    return (left[0] - right[0], left[1] - right[1], left[2] - right[2])
