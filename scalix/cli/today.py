"""`scalix report today`: what an owner looks at every morning, as tables."""

from typing import Any

from scalix.cli.acts import Options
from scalix.cli.columns import shown_amount
from scalix.cli.tables import print_record, print_rows, print_series

_TIER = ("tier", "active_users", "new_users", "requests", "provider_cost_usd", "charge_usd", "margin_usd")
_CONVERSION = ("within_days", "cohort_date", "new_users", "upgraded_users", "percent")
_AFTER = ("limit", "users", "upgraded", "came_back", "left")
_DAY = ("date", "active_users", "new_users", "upgraded_users", "errors", "provider_cost_usd", "margin_usd")


def tell_today(options: Options, answer: Any) -> None:
    """Print the object of `GET /scalix/v1/reports/today`."""
    day, even = answer["day"], answer["break_even"]
    over = "" if answer["is_over"] else ", until now"
    print_record(f"{answer['date']} (UTC){over}", [(name, _text(value)) for name, value in _facts(answer, day, even)])
    print_rows(options, "\nby tier", _TIER, day["tiers"])
    print_rows(options, f"\nfrom {answer['free_tier']} to another tier", _CONVERSION, answer["conversions"])
    print_rows(options, "\nrefused by limits", ("limit", "users"), answer["limit_hits"] or ())
    title = f"\nwho was refused on {answer['limit_cohort_date']}, and what they did in the week after"
    print_rows(options, title, _AFTER, answer["after_limit_hits"] or ())
    print_rows(options, "\nerrors", ("error", "requests"), answer["errors"])
    print_rows(options, "\nthe days before", _DAY, answer["series"])
    for head, name in (("active users", "active_users"), ("margin $    ", "margin_usd")):
        print_series(head, [one[name] or 0 for one in answer["series"]])


def _facts(answer: Any, day: Any, even: Any) -> list[tuple[str, Any]]:
    top = answer["top_free"]
    return [
        ("active users", day["active_users"]),
        ("new", day["new_users"]),
        ("upgraded", day["upgraded_users"]),
        ("refused by a limit", day["limited_users"]),
        ("requests", day["requests"]),
        ("failed", f"{shown_amount(day['errors'])} ({100 * day['error_rate']:.2f} %)"),
        ("rescued by another model", day["rescued"]),
        ("first byte, ms", f"{_text(day['first_byte_p50_ms'])} (p50), {_text(day['first_byte_p95_ms'])} (p95)"),
        ("provider cost $", day["provider_cost_usd"]),
        ("charge $", day["charge_usd"]),
        ("margin $", day["margin_usd"]),
        ("dearest 1 % of free users", top and f"{_text(top['percent'])} % of ${shown_amount(top['free_cost_usd'])}"),
        ("break-even conversion", f"{_text(even['percent'])} %; paying: {_text(even['paying_percent'])} %"),
    ]


def _text(value: Any) -> str:
    return "not known" if value is None else shown_amount(value)
