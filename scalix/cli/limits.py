"""`scalix limits`: shows and changes the limits of one user, and resets what was used of them."""

import argparse
from decimal import Decimal
from typing import Any

from scalix.cli.acts import A_TABLE, Acts, Options, asks, tell
from scalix.cli.columns import shown_amount, until
from scalix.cli.command_line import expected
from scalix.cli.session import Refused, Session
from scalix.cli.tables import print_rows, print_text
from scalix.domain.limits.limit_overrides import OF_TIER, with_entry
from scalix.domain.limits.limits import CONCURRENT, LIMIT_NAMES

UNLIMITED = "unlimited"
COLUMNS = ("limit", "used", "limit_value", "remaining", "reserved", "resets", "source")
_IN_CSV = ("limit", "limit_value", "used", "reserved", "remaining", "reset_at", "source", "enforce")
_SHADOW_COLUMNS = ("day", "tier", "limit", "requests")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `limits` and what it can do."""
    acts = Acts(commands, "limits", "limits of users, and their use")

    acts.add("show", asks("GET /user/limits", _tell), "a user's limits and how much is used", user=True, shapes=A_TABLE)

    change = acts.add(
        "set",
        _set,
        "give a user limits of their own, beside the tier's",
        "example: scalix limits set alice requests-hour=20 tokens-day=unlimited concurrent=tier",
        user=True,
        shapes=A_TABLE,
    )
    change.add_argument(
        "changes",
        nargs="*",
        type=_change,
        metavar="LIMIT=VALUE",
        help=f"LIMIT is {CONCURRENT} or requests-, tokens-, spend_usd- with minute, hour, day or month; VALUE is a "
        f"number, {UNLIMITED}, or {OF_TIER} for the tier's own",
    )
    change.add_argument("--clear", action="store_true", help="first remove all limits of their own")
    change.add_argument("--shadow", action="store_true", help="these limits count and report, and refuse nobody")

    reset = acts.add(
        "reset",
        _reset,
        "set a user's counters back to zero; what requests in flight have reserved stays",
        "example: scalix limits reset alice requests-hour tokens-day",
        user=True,
        shapes=A_TABLE,
    )
    reset.add_argument("windows", nargs="*", metavar="LIMIT", type=_window, help="such as requests-hour")
    reset.add_argument("--all", action="store_true", dest="everything", help="every window of every kind")

    shadow = acts.add(
        "shadow",
        asks("GET /scalix/v1/shadow", _tell_shadow),
        "what limits with enforce: false would have refused",
        shapes=A_TABLE,
    )
    shadow.add_argument("--days", type=int, default=7, metavar="N", help="today and the days before (default 7)")


def _window(text: str) -> str:
    if text not in LIMIT_NAMES:
        raise expected(f"a limit of {', '.join(LIMIT_NAMES)}", text)
    return text


def _change(text: str) -> tuple[str, Any]:
    """A limit's name and what it is set to: a number, `None` for unlimited, `OF_TIER`."""
    name, equals, word = text.partition("=")
    if not equals or (name != CONCURRENT and name not in LIMIT_NAMES):
        raise expected(f"LIMIT=VALUE with a LIMIT of {', '.join([*LIMIT_NAMES, CONCURRENT])}", text)
    if word in (UNLIMITED, OF_TIER):
        return name, None if word == UNLIMITED else OF_TIER
    try:
        number = Decimal(word.replace("_", ""))
        if not number.is_finite():
            raise ValueError
        # The gateway judges the number itself; a fraction of requests is no number for it.
        return name, int(number) if number == number.to_integral_value() else float(number)
    except (ArithmeticError, ValueError):
        raise expected(f"a number, '{UNLIMITED}' or '{OF_TIER}'", word) from None


def _set(options: Options, session: Session) -> None:
    if not options.changes and not options.clear:
        raise Refused("nothing to set: write for example requests-hour=20, or --clear")
    own: dict[str, Any] = {}
    if not options.clear:
        try:
            own = session.get("/user/limits", user_id=options.user_id)["overrides"]
        except Refused as refused:
            # A user who has not called yet may have limits all the same.
            if refused.code != "user_not_found":
                raise
    for name, value in options.changes:
        is_number = isinstance(value, int | float)
        own = with_entry(own, name, {"limit": value, "enforce": False} if options.shadow and is_number else value)
    tell(options, session.ask("PUT", "/user/limits", {"user_id": options.user_id, "limits": own}), _tell)


def _reset(options: Options, session: Session) -> None:
    if bool(options.windows) == options.everything:
        raise Refused("name the windows, such as requests-hour, or write --all")
    windows = "all" if options.everything else options.windows
    tell(options, session.ask("POST", "/user/reset", {"user_id": options.user_id, "windows": windows}), _tell_reset)


def _tell_reset(options: Options, answer: Any) -> None:
    _tell(options, answer)
    undone = ", ".join(f"{name} {shown_amount(value)}" for name, value in answer["undone"].items())
    print_text(options, f"given back: {undone or 'nothing, as nothing was used there'}")


def _tell_shadow(options: Options, answer: Any) -> None:
    what = "limits with enforce: false would have refused"
    print_rows(options, f"requests that {what}", _SHADOW_COLUMNS, answer["would_have_refused"], f"{what} nothing")


def _tell(options: Options, answer: Any) -> None:
    title = f"{answer['user_id']}, tier {answer['tier']}"
    print_rows(options, title, COLUMNS, shown_limits(answer), f"{title}: unlimited", in_csv=_IN_CSV)


def shown_limits(answer: Any) -> list[dict[str, Any]]:
    """The limits of an answer as a table shows them."""
    return [
        {
            **entry,
            "limit_value": UNLIMITED if entry["limit_value"] is None else entry["limit_value"],
            "resets": until(entry["reset_at"], answer.get("time")),
            "source": _source(entry),
        }
        for entry in answer["limits"]
    ]


def _source(entry: dict[str, Any]) -> str:
    if "source" not in entry:
        return ""
    return ("own" if entry["source"] == "override" else "tier") + ("" if entry["enforce"] else ", shadow")
