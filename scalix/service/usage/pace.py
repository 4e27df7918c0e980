"""What comes next for a user at this pace, limit by limit, for the pages and tables that tell it."""

from typing import Annotated

from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.durations import in_words
from scalix.domain.limits.pace import pace_of
from scalix.domain.limits.quota import window_states
from scalix.service.administration.limit_views import LIMIT, shown_use
from scalix.service.described import Fields, Json
from scalix.service.usage.usage import Use, Whose

ShownPace = Annotated[
    Json, Fields(LIMIT, {float: "used_percent at_reset", str | None: "reached_at", str: "resets_in comes_next"})
]


def coming(whose: Whose, use: Use) -> list[ShownPace]:
    """Every limit of a window that is enforced: what is used, left and reserved; `at_reset`, what will be used when it
    resets, and `reached_at`, when the limit will be reached (`None`: not before). `comes_next` says the same in words.
    """
    told = []
    for state in window_states(whose.limits, use.tallies, use.now_ms):
        limit, pace = state.limit, pace_of(state, use.now_ms)
        if not limit.enforce:
            continue
        of_limit = 100 * pace.at_reset // limit.value if limit.value else 100
        if pace.reached_ms is None:
            words = f"at this pace {of_limit} % used by then" if state.used else "nothing used yet"
        elif pace.reached_ms <= use.now_ms:
            words = "used up"
        else:
            words = f"at this pace used up {in_words(pace.reached_ms - use.now_ms)}"
        told.append(
            {
                "limit": limit.name,
                **shown_use(state),
                "reset_at": rfc3339(state.reset_ms),
                "used_percent": used_percent(state.used, limit.value),
                "at_reset": limit.metric.unit.shown(pace.at_reset),
                "reached_at": None if pace.reached_ms is None else rfc3339(pace.reached_ms),
                "resets_in": in_words(state.reset_ms - use.now_ms),
                "comes_next": words,
            }
        )
    return told


def used_percent(used: int, value: int) -> int:
    """How much of a limit is used, in whole percent; 100 only where all of it is, and of a limit of 0."""
    return 100 * used // value if value else 100
