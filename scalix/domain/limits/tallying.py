"""Which windows a request counts in, and the sums that they hold, as whoever counts without a store keeps them."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import Amounts, Metric, Window
from scalix.domain.limits.quota import LATER_METRICS, Ask, Charge, Receipt, Tallies, Tally

NOTHING: Amounts = (0,) * len(Metric)
KEPT = 3  # windows of each kind that stay, whatever the clock says

Windows = dict[tuple[Window, int], Tally]
KeyWindows = dict[tuple[KeyWindow, int], Tally]
_Key = TypeVar("_Key")
_Kind = TypeVar("_Kind", bound=Window | KeyWindow)


def windows_at(at_ms: int, tracks_minutes: bool) -> list[tuple[Window, int]]:
    """The windows that `at_ms` lies in."""
    return [(window, window_index(window, at_ms)) for window in Window if tracks_minutes or window is not Window.MINUTE]


def windows_of_key(at_ms: int, budget_start_ms: int) -> list[tuple[KeyWindow, int]]:
    """Those of a virtual key."""
    windows = [(KeyWindow.MINUTE, window_index(Window.MINUTE, at_ms)), (KeyWindow.TOTAL, 0)]
    return [*windows, (KeyWindow.BUDGET, budget_start_ms)] if budget_start_ms else windows


def current(windows: Windows, at_ms: int, tracks_minutes: bool) -> Tallies:
    """What the windows that `at_ms` lies in hold."""
    return {key[0]: windows.get(key, Tally()) for key in windows_at(at_ms, tracks_minutes)}


def change(windows: dict[_Key, Tally], keys: list[_Key], *, used: Amounts, held: Amounts) -> None:
    """Add to the settled and to the held part of some windows. Neither goes below zero."""
    for key in keys:
        tally = windows.get(key, Tally())
        windows[key] = Tally.of(
            tuple(max(0, tally.used(metric) + used[metric.place]) for metric in Metric),
            tuple(max(0, tally.held(metric) + held[metric.place]) for metric in Metric),
        )


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


def amounts(charged: Charge | Event) -> Amounts:
    """What windows count of a charge, or of the event that it became; of later metrics, that is in the detail."""
    later = (getattr(charged.detail, metric.unit.field) for metric in LATER_METRICS)
    return (charged.requests, charged.tokens, charged.nano_usd, *later)


def plus(left: Amounts, right: Amounts) -> Amounts:
    """The sum, one by one."""
    return tuple(map(int.__add__, left, right))


def minus(amounts: Amounts) -> Amounts:
    """What takes them away."""
    return tuple(-amount for amount in amounts)


def held_by(ask: Ask, receipt: Receipt) -> Amounts:
    """What a request that was admitted holds until it is settled."""
    return ask.needs(ask.prompt_tokens, ask.choices * receipt.output_cap_tokens)


def receipt_of(ask: Ask, now_ms: int) -> Receipt:
    """The receipt of a request that is admitted now; its answer's length is for `room.judged` to say."""
    tracks_minutes = any(limit.window is Window.MINUTE for limit in ask.limits.windows)
    key_id, start_ms = (ask.key.key_id, ask.key.budget_start_ms(now_ms)) if ask.key else (None, 0)
    return Receipt(ask.request_id, ask.subject, now_ms, ask.prompt_tokens, 0, tracks_minutes, key_id, start_ms)
