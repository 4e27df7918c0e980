"""What comes next at this pace: when a limit will be reached, or what will be used when its window ends."""

from dataclasses import dataclass

from scalix.domain.limits.calendar import window_length_ms
from scalix.domain.limits.quota import WindowState

_LEAST_PART = 24
"""In the first so many-th of a window it counts as having lasted so long: a request at midnight makes no day."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`at_reset` is what will be used by the end of the window, in the unit of the limit, if nothing refuses it;
    `reached_ms` when the limit will be reached (Unix time): `None` if not before that end."""

    at_reset: int
    reached_ms: int | None


def pace_of(state: WindowState, at_ms: int) -> Pace:
    """The pace of a limit whose state was read at `at_ms`: what was used since its window began goes on."""
    length_ms = window_length_ms(state.limit.window, state.reset_ms)
    left_ms = max(0, state.reset_ms - at_ms)
    since_ms = max(length_ms - left_ms, length_ms // _LEAST_PART)
    at_reset = state.used + state.used * left_ms // since_ms
    room = state.limit.value - state.used
    if room <= 0:
        return Pace(at_reset, at_ms)
    reached_ms = at_ms + -(-room * since_ms // state.used) if state.used else state.reset_ms
    return Pace(at_reset, reached_ms if reached_ms < state.reset_ms else None)
