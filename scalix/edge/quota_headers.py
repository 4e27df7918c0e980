"""Rate-limit headers: OpenAI's `x-ratelimit-*`, the IETF fields, the tier, and the warning from 80 % on.

IETF: draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit` as structured-field lists (RFC 9651).
Limits that are not enforced are in none of them: clients that slow down by these headers would feel such a limit.
"""

from collections.abc import Sequence
from functools import lru_cache

from scalix.domain.limits.calendar import window_length_ms
from scalix.domain.limits.key_states import KeyState
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import WindowState

Header = tuple[bytes, bytes]
State = WindowState | KeyState

WARN_FROM_PERCENT = 80
# RFC 9651, section 3.3.1: an Integer has at most 15 digits. Nano-dollars would not fit.
_LARGEST_INTEGER = 10**15 - 1


def quota_headers(tier: str | None, upgrade_url: str | None, states: Sequence[State], now_ms: int) -> list[Header]:
    """The headers of a metered answer. `states` are those of the limits of the caller, and of the virtual key that was
    shown; `now_ms` is Unix time."""
    headers: list[Header] = []
    if tier is not None:
        headers.append((b"x-scalix-tier", header_text(tier)))
    enforced = [state for state in states if isinstance(state, KeyState) or state.limit.enforce]
    if not enforced:
        return headers
    for metric in (metric for metric in Metric if not metric.unit.is_money):
        of_metric = [state for state in enforced if state.limit.metric is metric]
        if of_metric:
            # Of two that have equally little left, the one that stays so for longer.
            tightest = min(of_metric, key=lambda state: (state.remaining, -(state.reset_ms or 0)))
            headers += _openai_headers(tightest, now_ms)
    headers.append((b"ratelimit-policy", ", ".join(map(_policy_item, enforced)).encode()))
    headers.append((b"ratelimit", ", ".join(_item(state, now_ms) for state in enforced).encode()))
    warning = _warning(enforced)
    if warning:
        upgrade = b"; upgrade=" + header_text(upgrade_url) if upgrade_url else b""
        headers.append((b"x-scalix-warning", warning.encode() + upgrade))
    return headers


def header_text(text: str) -> bytes:
    """`text` as the value of a header: what is not printable ASCII is written as an escape, such as `\\xe9`."""
    return text.encode("unicode_escape").strip()


def duration(seconds: int) -> str:
    """`2h3m4s`, as OpenAI writes its resets; days are written in hours."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{rest}s"


def _openai_headers(state: State, now_ms: int) -> list[Header]:
    name = state.limit.metric.value.encode()
    headers = [
        (b"x-ratelimit-limit-" + name, str(state.limit.value).encode()),
        (b"x-ratelimit-remaining-" + name, str(state.remaining).encode()),
    ]
    if state.limit.value:  # of nothing there is no more later
        reset = duration(_seconds_to(state.reset_ms or now_ms, now_ms))
        headers.append((b"x-ratelimit-reset-" + name, reset.encode()))
    return headers


def _seconds_to(reset_ms: int, now_ms: int) -> int:
    return max(0, -(-(reset_ms - now_ms) // 1000))


def _name(state: State) -> str:
    return state.name if isinstance(state, KeyState) else state.limit.name


def _length_ms(state: State) -> int | None:
    return state.length_ms if isinstance(state, KeyState) else window_length_ms(state.limit.window, state.reset_ms)


def _policy_item(state: State) -> str:
    return _policy(_name(state), state.limit.metric, state.limit.value, _length_ms(state))


@lru_cache(maxsize=4_096)
def _policy(name: str, metric: Metric, value: int, length_ms: int | None) -> str:
    window = "" if length_ms is None else f";w={length_ms // 1000}"
    # `requests` is the draft's default unit, and goes without saying.
    unit = f';qu="{metric.unit.header}"' if metric.unit.header else ""
    return f'"{name}";q={_units(metric, value)}{unit}{window}'


def _item(state: State, now_ms: int) -> str:
    resets = "" if state.reset_ms is None or not state.limit.value else f";t={_seconds_to(state.reset_ms, now_ms)}"
    return f'"{_name(state)}";r={_units(state.limit.metric, state.remaining)}{resets}'


def _units(metric: Metric, value: int) -> int:
    """A value in the unit that its policy names, rounded down."""
    return min(_LARGEST_INTEGER, value // metric.unit.per_header)


def _warning(states: Sequence[State]) -> str:
    parts = []
    for state in states:
        if not state.limit.value:
            continue
        percent = (state.used + state.held) * 100 // state.limit.value
        if percent >= WARN_FROM_PERCENT:
            parts.append(f"{_name(state)} {min(percent, 100)}%")
    return ", ".join(parts)
