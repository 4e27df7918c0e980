"""How limits and their use are shown to operators."""

from typing import Annotated

from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.key_states import KeyState
from scalix.domain.limits.limit_overrides import Overrides
from scalix.domain.limits.limits import CONCURRENT, Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Tallies, Tally, WindowState, window_states
from scalix.service.described import Fields, Json

LIMIT = Fields({float: "used reserved", float | None: "limit_value remaining", str: "limit", str | None: "reset_at"})
ShownLimit = Annotated[Json, Fields(LIMIT, {str: "source", bool: "enforce"})]
_NO_LIMIT: ShownLimit = {"limit_value": None, "remaining": None}


def shown_windows(limits: Limits, own: Overrides, tallies: Tallies, now_ms: int) -> list[ShownLimit]:
    """Each limit of a window with its use. `limits` are the effective ones; amounts of money are US dollars."""
    return [
        {
            "limit": state.limit.name,
            **shown_use(state),
            "reset_at": rfc3339(state.reset_ms),
            "source": "override" if own.replaces(state.limit.metric, state.limit.window) else "tier",
            "enforce": state.limit.enforce,
        }
        for state in window_states(limits, tallies, now_ms)
    ]


def shown_use(state: WindowState | KeyState) -> dict[str, int | float]:
    """A limit and its use, in the unit that is shown."""
    shown = state.limit.metric.unit.shown
    return {
        "limit_value": shown(state.limit.value),
        "used": shown(state.used),
        "reserved": shown(state.held),
        "remaining": shown(state.remaining),
    }


def shown_limits(limits: Limits, own: Overrides, tallies: Tallies, now_ms: int, in_flight: int) -> list[ShownLimit]:
    """The same, with the limits that an override has lifted (`limit_value` is then `None`), and requests at once."""
    lifted = Limits(tuple(Limit(*key, value=0) for key, limit in own.windows.items() if limit is None))
    shown = shown_windows(limits, own, tallies, now_ms)
    shown += [one | _NO_LIMIT for one in shown_windows(lifted, own, tallies, now_ms)]
    if limits.concurrent is not None or own.concurrent is not None:
        value = limits.concurrent
        shown.append(
            {
                "limit": CONCURRENT,
                "limit_value": value,
                "used": in_flight,
                "reserved": 0,
                "remaining": None if value is None else max(0, value - in_flight),
                "reset_at": None,
                "source": "override" if own.concurrent is not None else "tier",
                "enforce": limits.enforce_concurrent,
            }
        )
    return shown


def used_of(tallies: Tallies, metric: Metric, window: Window) -> int | float:
    """Settled use, in the unit that is shown."""
    return metric.unit.shown(tallies.get(window, Tally()).used(metric))
