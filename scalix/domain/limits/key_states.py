"""Where a virtual key stands against its limits, as the headers of answers tell it."""

from dataclasses import dataclass

from scalix.domain.limits.calendar import window_end_ms, window_index, window_length_ms
from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import KeyTallies, Tally

_EMPTY = Tally()


@dataclass(frozen=True, slots=True)
class KeyState:
    """One limit of a key. `reset_ms` is Unix time; `None`, as `length_ms`, for a budget of the key's whole life."""

    limit: KeyLimit
    used: int
    held: int
    reset_ms: int | None
    length_ms: int | None

    @property
    def name(self) -> str:
        """Such as `key-requests-minute`, beside the user's own `requests-minute`."""
        return f"key-{self.limit.metric.value}-{self.limit.window.value}"

    @property
    def remaining(self) -> int:
        """What is left, never negative."""
        return max(0, self.limit.value - self.used - self.held)


def key_states(scope: KeyScope | None, tallies: KeyTallies, at_ms: int) -> tuple[KeyState, ...]:
    """The state of every limit of a key, from the tallies of the windows that `at_ms` lies in; nothing without a key
    or without tallies, which counters of one process may not have."""
    if scope is None or not tallies:
        return ()
    return tuple(_state(scope, limit, tallies.get(limit.window, _EMPTY), at_ms) for limit in scope.limits)


def _state(scope: KeyScope, limit: KeyLimit, tally: Tally, at_ms: int) -> KeyState:
    reset_ms: int | None = None
    length_ms: int | None = None
    if limit.window is KeyWindow.MINUTE:
        reset_ms = window_end_ms(Window.MINUTE, window_index(Window.MINUTE, at_ms))
        length_ms = window_length_ms(Window.MINUTE, reset_ms)
    elif limit.window is KeyWindow.BUDGET:
        length_ms = scope.budget_period_ms
        reset_ms = scope.budget_start_ms(at_ms) + length_ms
    return KeyState(limit, tally.used(limit.metric), tally.held(limit.metric), reset_ms, length_ms)
