"""Rate-limit headers: OpenAI's `x-ratelimit-*`, the IETF fields, the tier, and the warning from 80 % on.

IETF: draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit` as structured-field lists.
"""

from collections.abc import Sequence

from scalix.domain.limits import Metric, Window
from scalix.domain.quota import WindowState

Header = tuple[bytes, bytes]

WARN_FROM_PERCENT = 80
_SECONDS_PER = {Window.MINUTE: 60, Window.HOUR: 3_600, Window.DAY: 86_400, Window.MONTH: 31 * 86_400}


def quota_headers(
    tier: str | None, upgrade_url: str | None, states: Sequence[WindowState], now_ms: int
) -> list[Header]:
    """The headers of a metered answer. `states` are those of the caller's limits; `now_ms` is Unix time."""
    headers: list[Header] = []
    if tier is not None:
        headers.append((b"x-scalix-tier", tier.encode()))
    if not states:
        return headers
    for metric in (Metric.REQUESTS, Metric.TOKENS):
        of_metric = [state for state in states if state.limit.metric is metric]
        if of_metric:
            tightest = min(of_metric, key=lambda state: (state.remaining, -state.reset_ms))
            headers += _openai_headers(tightest, now_ms)
    headers.append((b"ratelimit-policy", ", ".join(map(_policy_item, states)).encode()))
    headers.append((b"ratelimit", ", ".join(_item(state, now_ms) for state in states).encode()))
    warning = _warning(upgrade_url, states)
    if warning:
        headers.append((b"x-scalix-warning", warning.encode()))
    return headers


def _openai_headers(state: WindowState, now_ms: int) -> list[Header]:
    name = state.limit.metric.value.encode()
    return [
        (b"x-ratelimit-limit-" + name, str(state.limit.value).encode()),
        (b"x-ratelimit-remaining-" + name, str(state.remaining).encode()),
        (b"x-ratelimit-reset-" + name, duration(_seconds_to(state, now_ms)).encode()),
    ]


def duration(seconds: int) -> str:
    """`2h3m4s`, as OpenAI writes its resets; days are written in hours."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{rest}s"


def _seconds_to(state: WindowState, now_ms: int) -> int:
    return max(0, -(-(state.reset_ms - now_ms) // 1000))


def _policy_item(state: WindowState) -> str:
    return f'"{state.limit.name}";q={state.limit.value};w={_SECONDS_PER[state.limit.window]}'


def _item(state: WindowState, now_ms: int) -> str:
    return f'"{state.limit.name}";r={state.remaining};t={_seconds_to(state, now_ms)}'


def _warning(upgrade_url: str | None, states: Sequence[WindowState]) -> str | None:
    parts = []
    for state in states:
        percent = (state.used + state.held) * 100 // state.limit.value
        if percent >= WARN_FROM_PERCENT:
            parts.append(f"{state.limit.name} {min(percent, 100)}%")
    if not parts:
        return None
    return ", ".join(parts) + (f"; upgrade={upgrade_url}" if upgrade_url else "")
