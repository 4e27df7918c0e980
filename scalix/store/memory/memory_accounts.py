"""What a store in memory keeps of one subject, and the arithmetic of its windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import Ask, Charge, Receipt, Tallies, Tally

Amounts = tuple[int, int, int]  # requests, tokens, nano-dollars
NOTHING: Amounts = (0, 0, 0)
KEPT = 3  # windows of each kind that stay, whatever the clock says
USED = {Metric.REQUESTS: "requests_used", Metric.TOKENS: "tokens_used", Metric.SPEND: "nano_usd_used"}

Windows = dict[tuple[Window, int], Tally]
KeyWindows = dict[tuple[KeyWindow, int], Tally]
_Key = TypeVar("_Key")


@dataclass(slots=True)
class Reservation:
    """A request in flight. `balance_held` is what it holds of the balance."""

    ask: Ask
    receipt: Receipt
    held: Amounts
    if_swept: Amounts
    lapses_ms: int
    balance_held: int = 0
    balance_charged: int = 0  # by a sweep


@dataclass(slots=True)
class Account:
    """One subject. `swept` are the requests among `events` that a sweep has charged."""

    windows: Windows = field(default_factory=dict)
    in_flight: dict[str, Reservation] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    swept: dict[str, Reservation] = field(default_factory=dict)


def windows_at(at_ms: int, tracks_minutes: bool) -> list[tuple[Window, int]]:
    """The windows that `at_ms` lies in."""
    return [(window, window_index(window, at_ms)) for window in Window if tracks_minutes or window is not Window.MINUTE]


def windows_of_key(at_ms: int, budget_start_ms: int) -> list[tuple[KeyWindow, int]]:
    """Those of a virtual key."""
    windows = [(KeyWindow.MINUTE, window_index(Window.MINUTE, at_ms)), (KeyWindow.TOTAL, 0)]
    return [*windows, (KeyWindow.BUDGET, budget_start_ms)] if budget_start_ms else windows


def current(windows: Windows, at_ms: int, tracks_minutes: bool) -> Tallies:
    """What they hold."""
    return {key[0]: windows.get(key, Tally()) for key in windows_at(at_ms, tracks_minutes)}


def change(windows: dict[_Key, Tally], keys: list[_Key], *, used: Amounts, held: Amounts) -> None:
    """Add to the settled and to the held part of some windows. Neither goes below zero."""
    for key in keys:
        tally = windows.get(key, Tally())
        windows[key] = Tally(
            max(0, tally.requests_used + used[0]),
            max(0, tally.tokens_used + used[1]),
            max(0, tally.nano_usd_used + used[2]),
            max(0, tally.requests_held + held[0]),
            max(0, tally.tokens_held + held[1]),
            max(0, tally.nano_usd_held + held[2]),
        )


_Kind = TypeVar("_Kind", bound=Window | KeyWindow)


def ended(keys: Iterable[tuple[_Kind, int]], first_kept: Mapping[_Kind, int]) -> list[tuple[_Kind, int]]:
    """Which windows to take out: as lua/ended.lua, not by what the clock says alone."""
    numbers: dict[_Kind, list[int]] = {}
    for kind, number in keys:
        numbers.setdefault(kind, []).append(number)
    return [
        (kind, number)
        for kind, found in numbers.items()
        for number in sorted(found)[:-KEPT]
        if number < first_kept.get(kind, number)
    ]


def amounts(charge: Charge) -> Amounts:
    """What windows count of a charge."""
    return (charge.requests, charge.tokens, charge.nano_usd)


def minus(left: Amounts, right: Amounts) -> Amounts:
    """The difference, one by one."""
    return (left[0] - right[0], left[1] - right[1], left[2] - right[2])


def event_of_charge(receipt: Receipt, charge: Charge) -> Event:
    """The event of a settled request."""
    return Event(
        request_id=receipt.request_id,
        subject=receipt.subject,
        admitted_ms=receipt.admitted_ms,
        key_id=receipt.key_id or "",
        outcome=charge.outcome.value,
        requests=charge.requests,
        tokens=charge.tokens,
        nano_usd=charge.nano_usd,
        estimated=charge.estimated,
        detail=charge.detail,
    )
