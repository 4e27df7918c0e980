"""The goals for the gateway's figures, compared with the last results."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.report import table

_PACKAGES = "LiteLLM with prisma, opentelemetry-sdk, httptools"
_INSTALLED = "LiteLLM as installed"
_REDIS = "LiteLLM with its own Redis-backed limits"
_ROUTING = "LiteLLM with those and Redis-backed routing"
_PORTKEY = "Portkey's gateway (Node.js)"
_REFUSING = "LiteLLM with a callback that refuses"
_OURS = "this gateway"
_LIMITED = "this gateway, limited user"


@dataclass(frozen=True, slots=True)
class Bound:
    """One goal: `figure` is the name of a result, `holds` tells whether it meets the goal."""

    asked: str
    figure: str
    written: Callable[[float], str]
    holds: Callable[[float], bool]


def _at_most(limit: float) -> Callable[[float], bool]:
    return lambda value: value <= limit


def _at_least(limit: float) -> Callable[[float], bool]:
    return lambda value: value >= limit


def _fraction(value: float) -> str:
    return f"1/{1 / value:.1f}"


BOUNDS = (
    Bound("429: at most 0.25 ms of CPU", "refused_429_ms", "{:.3f} ms".format, _at_most(0.25)),
    Bound("429: at least 30 × cheaper than stock's", "refused_429_times", "{:.1f} ×".format, _at_least(30)),
    Bound("401: at most 0.25 ms of CPU", "refused_401_ms", "{:.3f} ms".format, _at_most(0.25)),
    Bound("401: at least 30 × cheaper than stock's", "refused_401_times", "{:.1f} ×".format, _at_least(30)),
    Bound(
        "admitted, not streamed: at most 0.16 × the CPU of stock with the packages and no limits",
        "not_streamed_cpu",
        "{:.3f} ×".format,
        _at_most(0.16),
    ),
    Bound("(the same) less CPU than Portkey's, which has no limits", "under_portkey", "{:.2f} ×".format, _at_most(1)),
    Bound("at least 1.5 × the throughput of stock as installed", "over_installed", "{:.2f} ×".format, _at_least(1.5)),
    Bound("at least 1.3 × LiteLLM with its own Redis-backed limits", "over_redis", "{:.2f} ×".format, _at_least(1.3)),
    Bound("(the same, with its routing in Redis too)", "over_routing", "{:.2f} ×".format, _at_least(1.3)),
    Bound("burst stream: at most 1/40 of stock's CPU", "burst", _fraction, _at_most(1 / 40)),
    Bound("paced streams on a core: at least 12 × stock's", "paced_streams", "{:.1f} ×".format, _at_least(12)),
    Bound("CPU of a paced token: at most 1/15 of stock's", "paced_token", _fraction, _at_most(1 / 15)),
    Bound("two workers: at least 1.8 × one", "two_workers", "{:.2f} ×".format, _at_least(1.8)),
    Bound("a million known users: within 5 % of one", "million_users", "{:.3f} ×".format, _at_most(1.05)),
    Bound("(the same, each request another user's)", "million_users_cold", "{:.3f} ×".format, _at_most(1.05)),
    Bound("first byte of a stream: before stock's", "first_byte_later_ms", "{:+.2f} ms".format, _at_most(0.0)),
    Bound(
        "resident memory after 200,000 requests: within 5 % of that after 20,000",
        "memory-200k_growth",
        lambda value: f"{100 * value:+.1f} %",
        _at_most(0.05),
    ),
    Bound(
        "(the same, for a tenth of both)",
        "memory_growth",
        lambda value: f"{100 * value:+.1f} %",
        _at_most(0.05),
    ),
)


def shown_by_loads(kept: Mapping[str, Any]) -> dict[str, float]:
    """The results that have a goal, from the stored turns: by load, row, turn."""
    shown: dict[str, float] = {}
    for status, stock in (("429", _REFUSING), ("401", _PACKAGES)):
        rows = kept.get(f"refused-{status}", {})
        if stock in rows and _OURS in rows:
            shown[f"refused_{status}_ms"] = statistics.median(turn["cpu_ms"] for turn in rows[_OURS])
            shown[f"refused_{status}_times"] = _ratio(rows[stock], rows[_OURS], "cpu_ms")
    rows = kept.get("not-streamed", {})
    if _LIMITED in rows:
        if _PACKAGES in rows:
            shown["not_streamed_cpu"] = _ratio(rows[_LIMITED], rows[_PACKAGES], "cpu_ms")
        if _PORTKEY in rows:
            shown["under_portkey"] = _ratio(rows[_LIMITED], rows[_PORTKEY], "cpu_ms")
        for name, peer in (("over_installed", _INSTALLED), ("over_redis", _REDIS), ("over_routing", _ROUTING)):
            if peer in rows:
                shown[name] = _ratio(rows[_LIMITED], rows[peer], "requests_per_s")
    rows = kept.get("burst", {})
    if _LIMITED in rows and _PACKAGES in rows:
        shown["burst"] = _ratio(rows[_LIMITED], rows[_PACKAGES], "cpu_ms")
    return shown


def _ratio(mine: list[dict[str, float]], its: list[dict[str, float]], name: str) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a[name] / b[name] for a, b in zip(mine, its, strict=False))


def bounds_text(shown: Mapping[str, float]) -> str:
    """One line per goal."""
    rows = [
        (bound.asked, bound.written(shown[bound.figure]), "yes" if bound.holds(shown[bound.figure]) else "**no**")
        for bound in BOUNDS
        if bound.figure in shown
    ]
    text = (
        "### Asked and shown\n\nMedians of the rounds' own ratios, of the tables below; the gateway's side is a "
        "limited user, with its limits kept. The text of every stream in these tables was the provider's, byte for "
        "byte: a run ends where it is not.\n\n"
    )
    return text + table(("asked", "shown", "holds"), rows)
