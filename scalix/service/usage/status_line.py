"""One's own usage in one line, for status bars."""

from scalix.domain.limits.durations import length_in_letters
from scalix.domain.limits.limits import NANO_USD_PER_USD, Metric, Window
from scalix.domain.limits.quota import WindowState, window_states
from scalix.service.usage.pace import used_percent
from scalix.service.usage.usage import Use, Whose

_OF_WINDOW = {
    Window.MINUTE: "this minute's",
    Window.HOUR: "this hour's",
    Window.DAY: "today's",
    Window.MONTH: "this month's",
}
_BETWEEN = " · "


def status_line(whose: Whose, use: Use) -> str:
    """`pro · 62% of today's tokens · resets in 3 h · $1.20`: the tier, the limit of which most is used, and what is
    billed of today; with a prepaid balance what is left of it. Without limits, today's tokens stand in their place."""
    states = [state for state in window_states(whose.limits, use.tallies, use.now_ms) if state.limit.enforce]
    parts = [whose.tier or "operator"]
    if states:
        # Of equals the one that lasts longest.
        state = max(states, key=lambda one: (_part(one), one.reset_ms))
        unit = state.limit.metric
        name = "spend" if unit is Metric.SPEND else unit.unit.word
        parts.append(f"{used_percent(state.used, state.limit.value)}% of {_OF_WINDOW[state.limit.window]} {name}")
        parts.append(f"resets in {length_in_letters(state.reset_ms - use.now_ms)}")
    else:
        parts.append(f"{use.window(Window.DAY).tokens_used:,} tokens today")
    parts.append(_usd(use.charge_today_nano_usd))
    if use.balance is not None:
        parts.append(f"{_usd(use.balance.nano_usd - use.balance.held_nano_usd)} left")
    return _BETWEEN.join(parts)


def _part(state: WindowState) -> float:
    return state.used / state.limit.value if state.limit.value else float("inf")


def _usd(nano_usd: int) -> str:
    cents = round(100 * nano_usd / NANO_USD_PER_USD)
    if nano_usd > 0 and not cents:
        return "<$0.01"
    return f"{'-' * (cents < 0)}${abs(cents) / 100:,.2f}"
