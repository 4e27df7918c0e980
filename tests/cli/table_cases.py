"""What every command that prints a table is answered in tests: a month of use, with names of all kinds."""

from pathlib import Path
from typing import Any

HOSTILE = (
    "x" * 200,
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",  # from right to left
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",  # joined
    "e\u0301\u0302\u0303clair" * 4,  # with marks on their letters
    "\u65e5\u672c\u8a9e\u306e\u30e2\u30c7\u30eb" * 5,  # wide
    "red\x1b[31m\x07\r\n\u202eback\x9b2J",  # steers terminals
)
PLAIN = ("alice@example.com", "claude-3-5-sonnet-20241022", "free-gemini-flash", "bob")
NAMES = (*PLAIN, *HOSTILE)
_TIME = "2026-11-30T21:19:43Z"


def figures(number: int) -> dict[str, Any]:
    """The figures of a row, unlike those of another number."""
    prompt, completion = 1_234_567 * number, 23_456 * number
    return {
        "requests": 1_017 * number,
        "tokens": prompt + completion,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": 345 * number,
        "reasoning_tokens": 0,
        "cached_percent": 12.34,
        "provider_cost_usd": 101.17 * number + 0.0123,
        "charge_usd": 151.71 * number,
        "cost_usd": 151.71 * number,
        "margin_usd": 50.54 * number - 0.0123,
        "margin_percent": 33.3,
        "mean_latency_ms": 1_234,
        "errors": 12 * number,
        "failed_attempts": 20 * number,
        "events": 1_017 * number,
        "error_rate": 0.0118,
    }


LIMIT = {
    "limit": "spend_usd-month",
    "limit_value": 25.5,
    "used": 12.123456,
    "reserved": 0.5,
    "remaining": 12.876544,
    "reset_at": "2026-12-01T00:00:00Z",
    "source": "override",
    "enforce": False,
}
DAYS = [{"date": f"2026-11-{day:02d}", **figures(1 + day * 7 % 5)} for day in range(1, 31)]
OVERVIEW = {
    "user_id": "ann",
    "tier": "free",
    "time": "2026-11-30T23:13:00Z",
    "requests_today": 12_345,
    "tokens_today": 678_901,
    "charge_today_usd": 1.25,
    "requests_this_hour": 12,
    "limits": [LIMIT, {**LIMIT, "limit": "requests-hour", "limit_value": 10, "used": 2, "remaining": 8}],
    "by_day": DAYS,
    "by_model": [{"model": name, **figures(place + 1)} for place, name in enumerate(NAMES)],
}
SUMS = (
    *("requests", "tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("cached_percent", "provider_cost_usd", "charge_usd", "margin_usd", "mean_latency_ms"),
)


def report(name: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> dict[str, Any]:
    shown = {"report": name, "from": "2026-11-01", "to": "2026-11-30", "columns": columns, "rows": rows}
    return {**shown, "total": figures(30)}


def named(*fields: str) -> list[dict[str, Any]]:
    """Rows whose `fields` are names of all kinds, with all figures."""
    return [
        {**{field: NAMES[(place + more) % len(NAMES)] for more, field in enumerate(fields)}, **figures(place + 1)}
        for place in range(len(NAMES))
    ]


_MONEY = ("requests", "charge_usd", "provider_cost_usd", "margin_usd", "margin_percent")
_ERRORS = ("provider", "model", "error", "errors", "failed_attempts", "events", "error_rate")
_DEPLOYMENT = ("deployment", "engine", "requests", "errors", "error_rate", "prompt_tokens", "completion_tokens")
_KEYS: list[dict[str, Any]] = [
    {
        "key_alias": name,
        "key_name": "sk-...abcd",
        "user_id": NAMES[-1 - place],
        "status": "active",
        "spend": 1.25 * place,
        "max_budget": None,
        "requests": 12_345,
        "expires": "2026-12-01T10:00:00Z",
        "token": f"{place:064x}",
        "created_by": "operator:master",
        "models": [],
    }
    for place, name in enumerate(NAMES)
]
_EVENTS = [
    {
        "time": "2026-11-30T21:19:43.123Z",
        "id": f"{place:032x}",
        "model_served": name,
        "deployment": "",
        "key": "laptop",
        "outcome": "success",
        "error": None,
        "tokens": 1_234,
        "charge_usd": 0.00123,
        "provider_cost_usd": 0.001,
    }
    for place, name in enumerate(NAMES)
]
_AUDIT = [
    {
        "seq": 12_345,
        "time": _TIME,
        "actor": "operator:master",
        "address": "2001:db8::1234:5678",
        "act": "user.update",
        "object": f"user:{name}",
        "before": {"tier": "free"},
        "after": {"tier": name},
        "details": {"fields": ["tier", "limits", "metadata"]},
    }
    for name in NAMES
]
_USERS: list[dict[str, Any]] = [
    {"user_id": name, "tier": "free", "blocked": False, "overrides": {}, "user_email": None, "created_at": _TIME}
    for name in NAMES
]
_DIFFERENCES = [
    {"where": f"user:{name}", "what": "counters", "field": "tokens of the month", "found": "1234567", "right": "1234"}
    for name in NAMES
]
_CHECKED = {
    "day": "2026-11-30",
    "from": "store",
    "events": 12_345,
    "subjects": 678,
    "difference_count": 900,
    "differences": _DIFFERENCES,
    "left": _DIFFERENCES,
    "moving": [],
    "mended": 3,
    "whole": True,
}
_OF_USER = {"user_id": HOSTILE[0], "tier": "free", "limits": [LIMIT], "overrides": {}, "undone": {"requests-hour": 3}}
_KEY_PAGE = {"keys": _KEYS, "total_count": 812, "current_page": 1, "total_pages": 33}

_DAY_FIGURES: dict[str, Any] = {
    "active_users": 345,
    "new_users": 67,
    "upgraded_users": 8,
    "limited_users": 9,
    "rescued": 12,
}
_DAY_FIGURES |= {"first_byte_p50_ms": 345, "first_byte_p95_ms": None}
TODAY = {
    "date": "2026-11-30",
    "is_over": False,
    "free_tier": "free",
    "day": {**figures(1), **_DAY_FIGURES, "tiers": [{"tier": name, **figures(2), **_DAY_FIGURES} for name in NAMES]},
    "conversions": [
        {"within_days": 7, "cohort_date": "2026-11-01", "new_users": 67, "upgraded_users": 5, "percent": 7.5}
    ],
    "limit_hits": [{"limit": "requests-hour", "users": 9}],
    "limit_cohort_date": "2026-11-23",
    "after_limit_hits": [{"limit": "requests-hour", "users": 9, "upgraded": 2, "came_back": 6, "left": 1}],
    "errors": [{"error": "provider_down", "requests": 12}],
    "top_free": {"percent": 12.5, "free_cost_usd": 5.25},
    "break_even": {"percent": 3.5, "paying_percent": 4.25},
    "series": [{**day, **_DAY_FIGURES} for day in DAYS],
}

CASES: dict[str, dict[str, Any]] = {
    "limits show ann": _OF_USER,
    "limits set ann requests-hour=3": _OF_USER,
    "limits reset ann --all": _OF_USER,
    "limits shadow": {
        "would_have_refused": [
            {"day": "2026-11-30", "tier": name, "limit": "requests-hour", "requests": 12_345} for name in NAMES
        ]
    },
    "user list": {"users": _USERS, "total": 2_000, "page": 1, "page_size": 25, "total_pages": 80},
    "key list": _KEY_PAGE,
    "key expiring --within 4w": {**_KEY_PAGE, "total_pages": 1},
    "audit list": {"entries": _AUDIT, "next_before": 12_000},
    "ledger verify": _CHECKED,
    "ledger repair": _CHECKED,
    "usage ann": OVERVIEW,
    "usage events ann": {"events": _EVENTS, "next_cursor": "abc" * 60},
    "report day": report("day", ("date", *SUMS), DAYS),
    "report tier": report("tier", ("tier", *SUMS), named("tier")),
    "report model": report("model", ("model", *SUMS), named("model")),
    "report provider": report("provider", ("provider", *SUMS), named("provider")),
    "report deployment": report("deployment", _DEPLOYMENT, named("deployment", "engine")),
    "report user ann": report("user", ("date", "model", "tier", *SUMS), named("date", "model", "tier")),
    "report key ann": report("key", ("key", "key_id", *SUMS), named("key", "key_id")),
    "report top": report("top", ("rank", "user_id", "tokens"), named("user_id")),
    "report errors": report("errors", _ERRORS, named("provider", "model", "error")),
    "report today": TODAY,
    "report margin": report("margin", ("tier", "model", *_MONEY), named("tier", "model")),
}
"""The command lines, with what the gateway answers."""


def backups(folder: Path) -> str:
    """The command line that lists the backups of a folder, of which there are some."""
    for day in range(1, 4):
        (folder / f"scalix-2026110{day}T030000000Z-0123456789abcdef.backup").write_bytes(b"x" * 1_234)
    return f"backup list --to {folder}"
