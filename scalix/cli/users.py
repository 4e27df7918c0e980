"""`scalix user`: make, show, change, list and delete users."""

import argparse
import json
from typing import Any
from urllib.parse import quote

from scalix.cli import privacy
from scalix.cli.command_line import Acts
from scalix.cli.session import Session, in_json, print_json, print_record, print_table

DEFAULT_TIER = "default"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `user` and what it can do."""
    acts = Acts(commands, "user", "users: tier, block, metadata")

    acts.add("show", _show, "a user's record and use", user=True)

    new = acts.add("new", _new, "make a user")
    new.add_argument("user", nargs="?", help="the user's id; made up if it is not given")
    _add_fields(new)

    update = acts.add("update", _update, "change a user; what is not named stays", user=True)
    _add_fields(update)

    delete = acts.add("delete", _delete, "delete users: records and counters")
    delete.add_argument("users", nargs="+", metavar="user", help="the users' ids")

    listing = acts.add("list", _list, "the users that have a record")
    listing.add_argument("--page", type=int, default=1, metavar="N", help="which page (default 1)")
    listing.add_argument(
        "--page-size", type=int, default=25, metavar="N", help="users on a page (default 25, at most 100)"
    )

    credit = acts.add("credit", _credit, "add to a user's prepaid balance", user=True)
    credit.add_argument("usd", help="the amount in US dollars, such as 25.00; a negative one takes from the balance")
    credit.add_argument(
        "--id", required=True, metavar="ID", help="names the payment: with the same one, it is added once"
    )

    acts.add("balance", _balance, "a user's prepaid balance", user=True)

    privacy.add_acts(acts)


def _add_fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", help=f"the user's tier; {DEFAULT_TIER} for the gateway's default tier")
    block = parser.add_mutually_exclusive_group()
    block.add_argument("--block", action="store_const", const=True, dest="blocked", help="refuse the user's requests")
    block.add_argument("--unblock", action="store_const", const=False, dest="blocked", help="take them again")
    parser.add_argument("--email", help="kept in the metadata")
    parser.add_argument("--alias", help="kept in the metadata")
    parser.add_argument(
        "--metadata", type=_object, metavar="JSON", help='all of the metadata, such as \'{"plan": "x"}\''
    )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('not a JSON object, such as {"plan": "x"}')
    return value


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "user_id": options.user,
        "blocked": options.blocked,
        "user_email": options.email,
        "user_alias": options.alias,
        "metadata": options.metadata,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if options.tier is not None:
        fields["tier"] = None if options.tier == DEFAULT_TIER else options.tier
    return fields


def _show(options: argparse.Namespace, session: Session) -> None:
    _tell(options, session.get("/user/info", user_id=options.user))


def _new(options: argparse.Namespace, session: Session) -> None:
    # A key is shown once, and this is no place to show one: `scalix key generate` is.
    _tell(options, session.post("/user/new", {**_fields(options), "auto_create_key": False}))


def _update(options: argparse.Namespace, session: Session) -> None:
    _tell(options, session.post("/user/update", _fields(options)))


def _delete(options: argparse.Namespace, session: Session) -> None:
    answer = session.post("/user/delete", {"user_ids": options.users})
    if options.json:
        print_json(answer)
    else:
        print(f"deleted: {', '.join(map(_printable, answer['deleted']))}")


def _list(options: argparse.Namespace, session: Session) -> None:
    answer = session.get("/user/list", page=str(options.page), page_size=str(options.page_size))
    if in_json(options, answer):
        return
    rows = [
        (
            user["user_id"],
            user["tier"],
            "yes" if user["blocked"] else "",
            "yes" if user["overrides"] else "",
            user.get("user_email") or "",
            user["created_at"] or "-",
        )
        for user in answer["users"]
    ]
    pages = f"page {answer['page']} of {max(1, answer['total_pages'])}"
    if rows:
        print_table(f"{answer['total']} users, {pages}", _COLUMNS, rows)
    else:
        print(f"{answer['total']} users, nothing on {pages}")


def _credit(options: argparse.Namespace, session: Session) -> None:
    body = {"user_id": options.user, "amount_usd": options.usd, "credit_id": options.id}
    answer = session.post("/user/credit", body)
    if in_json(options, answer):
        return
    done = (
        f"credited {options.usd} USD" if answer["credited"] else f"{options.id} was credited before, nothing was added"
    )
    print(f"{_printable(options.user)}: {done}; {_balance_text(answer)}")


def _balance(options: argparse.Namespace, session: Session) -> None:
    answer = session.get("/user/balance", user_id=options.user)
    if options.json:
        print_json(answer)
    elif answer["balance_usd"] is None:
        print(f"{_printable(options.user)}: no balance, nothing was ever credited")
    else:
        print(f"{_printable(options.user)}: {_balance_text(answer)}")


def _balance_text(answer: dict[str, Any]) -> str:
    reserved = f", {answer['reserved_usd']:f} USD of it reserved" if answer["reserved_usd"] else ""
    return f"balance {answer['balance_usd']:f} USD{reserved}"


def _tell(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if in_json(options, answer):
        return
    usage = answer["usage"]
    metadata = answer.get("metadata_error") or json.dumps(answer["metadata"], ensure_ascii=False)
    rows = [
        ("tier", answer["tier"]),
        ("blocked", "yes" if answer["blocked"] else "no"),
        ("requests this hour", f"{usage['requests_this_hour']:,}"),
        ("requests today", f"{usage['requests_today']:,}"),
        ("tokens today", f"{usage['tokens_today']:,}"),
        ("cost today", f"{usage['cost_today_usd']:f} USD"),
        ("in flight", f"{usage['in_flight_requests']:,}"),
        ("own limits", json.dumps(answer["overrides"]) if answer["overrides"] else "none"),
        ("metadata", metadata),
        ("made", answer["created_at"] or "-"),
        ("changed", answer["updated_at"] or "-"),
    ]
    print_record(f"user {_printable(answer['user_id'])}", rows)


def _printable(name: str) -> str:
    return name if name.isprintable() else quote(name)


_COLUMNS = ("user", "tier", "blocked", "own limits", "email", "made")
