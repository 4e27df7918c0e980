"""`scalix limits`: show a user's limits, give a user their own, give room back, see what the shadow would refuse."""

import argparse
import json
from decimal import Decimal
from typing import Any

from scalix.cli.command_line import Acts
from scalix.cli.session import Refused, Session, in_json, print_table
from scalix.domain.limits.limits import Metric, Window, limit_name

_NAMES = {limit_name(metric, window): (metric.value, window.value) for metric in Metric for window in Window}
CONCURRENT = "concurrent"
UNLIMITED, TIER = "unlimited", "tier"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `limits` and what it can do."""
    acts = Acts(commands, "limits", "limits of users, and their use")

    acts.add("show", _show, "a user's limits and how much is used", user=True)

    change = acts.add(
        "set",
        _set,
        "give a user limits of their own, beside the tier's",
        "example: scalix limits set alice requests-hour=20 tokens-day=unlimited concurrent=tier",
        user=True,
    )
    change.add_argument(
        "changes",
        nargs="*",
        type=_change,
        metavar="LIMIT=VALUE",
        help=f"LIMIT is {CONCURRENT} or requests-, tokens-, spend_usd- with minute, hour, day or month; VALUE is a "
        f"number, {UNLIMITED}, or {TIER} for the tier's own",
    )
    change.add_argument("--clear", action="store_true", help="first take away all limits of their own")
    change.add_argument("--shadow", action="store_true", help="these limits count and report, and refuse nobody")

    reset = acts.add(
        "reset",
        _reset,
        "give a user the room back that is used up; what requests in flight hold stays",
        "example: scalix limits reset alice requests-hour tokens-day",
        user=True,
    )
    reset.add_argument("windows", nargs="*", metavar="LIMIT", type=_window, help="such as requests-hour")
    reset.add_argument("--all", action="store_true", dest="everything", help="every window of every kind")

    shadow = acts.add("shadow", _shadow, "what limits with enforce: false would have refused")
    shadow.add_argument("--days", type=int, default=7, metavar="N", help="today and the days before (default 7)")


def _window(text: str) -> str:
    if text not in _NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is no limit of a window; known are {', '.join(_NAMES)}")
    return text


def _change(text: str) -> tuple[str, Any]:
    """A limit's name and what it is set to: a number, `None` for unlimited, `TIER`."""
    name, equals, word = text.partition("=")
    if not equals or (name != CONCURRENT and name not in _NAMES):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not LIMIT=VALUE with a LIMIT of {', '.join([*_NAMES, CONCURRENT])}"
        )
    if word in (UNLIMITED, TIER):
        return name, None if word == UNLIMITED else TIER
    try:
        number = Decimal(word.replace("_", ""))
        if not number.is_finite():
            raise ValueError
        # The gateway judges the number itself; a fraction of requests is no number for it.
        return name, int(number) if number == number.to_integral_value() else float(number)
    except (ArithmeticError, ValueError):
        raise argparse.ArgumentTypeError(f"{word!r} is no number, nor {UNLIMITED} or {TIER}") from None


def _show(options: argparse.Namespace, session: Session) -> None:
    _tell(options, session.get("/user/limits", user_id=options.user))


def _set(options: argparse.Namespace, session: Session) -> None:
    if not options.changes and not options.clear:
        raise Refused("nothing to set: write for example requests-hour=20, or --clear")
    own: dict[str, Any] = {}
    if not options.clear:
        try:
            own = session.get("/user/limits", user_id=options.user)["overrides"]
        except Refused as refused:
            # A user who has not called yet may have limits all the same.
            if refused.code != "user_not_found":
                raise
    for name, value in options.changes:
        _apply(own, name, {"limit": value, "enforce": False} if options.shadow and _is_number(value) else value)
    _tell(options, session.put("/user/limits", {"user_id": options.user, "limits": own}))


def _apply(own: dict[str, Any], name: str, value: Any) -> None:
    metric, window = _NAMES.get(name, (name, ""))
    entries = own.setdefault(metric, {}) if window else own
    key = window or CONCURRENT
    if value == TIER:
        entries.pop(key, None)
    else:
        entries[key] = value
    if window and not entries:
        del own[metric]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _reset(options: argparse.Namespace, session: Session) -> None:
    if bool(options.windows) == options.everything:
        raise Refused("name the windows, such as requests-hour, or write --all")
    windows = "all" if options.everything else options.windows
    answer = session.post("/user/reset", {"user_id": options.user, "windows": windows})
    _tell(options, answer)
    if not options.json:
        undone = ", ".join(f"{name} {_amount(value)}" for name, value in answer["undone"].items())
        print(f"given back: {undone or 'nothing, as nothing was used there'}")


def _shadow(options: argparse.Namespace, session: Session) -> None:
    answer = session.get("/scalix/v1/shadow", days=str(options.days))
    if in_json(options, answer):
        return
    rows = [
        (entry["day"], entry["tier"], entry["limit"], _amount(entry["requests"]))
        for entry in answer["would_have_refused"]
    ]
    if rows:
        print_table("requests that limits with enforce: false would have refused", _SHADOW_COLUMNS, rows)
    else:
        print("limits with enforce: false would have refused nothing")


def _tell(options: argparse.Namespace, answer: Any) -> None:
    if in_json(options, answer):
        return
    rows = [
        (
            entry["limit"],
            UNLIMITED if entry["limit_value"] is None else _amount(entry["limit_value"]),
            _amount(entry["used"]),
            _amount(entry["reserved"]),
            "-" if entry["remaining"] is None else _amount(entry["remaining"]),
            entry["reset_at"] or "-",
            ("own" if entry["source"] == "override" else "tier") + ("" if entry["enforce"] else ", shadow"),
        )
        for entry in answer["limits"]
    ]
    title = f"{answer['user_id']}, tier {answer['tier']}"
    if rows:
        print_table(title, _COLUMNS, rows)
    else:
        print(f"{title}: unlimited")


def _amount(value: Any) -> str:
    """`10,000`, or dollars without an exponent."""
    return f"{value:,}" if isinstance(value, int) else f"{Decimal(json.dumps(value)):f}"


_COLUMNS = ("limit", "value", "used", "reserved", "remaining", "resets at", "from")
_SHADOW_COLUMNS = ("day", "tier", "limit", "requests")
