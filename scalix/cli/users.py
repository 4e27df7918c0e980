"""`scalix user`: makes, shows, changes, lists and deletes users, credits them, and exports or erases their data."""

import argparse
import json
from typing import Any
from urllib.parse import quote

from scalix.cli.acts import A_TABLE, Acts, Options, asks, or_null
from scalix.cli.command_line import expected
from scalix.cli.session import Session
from scalix.cli.tables import print_json, print_record, print_rows

DEFAULT_TIER = "default"
# All data of a user is read or removed, and the store rewrites its files.
_PATIENCE_S = 300.0
_COLUMNS = ("user_id", "tier", "blocked", "own_limits", "user_email", "created_at")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `user` and what it can do."""
    acts = Acts(commands, "user", "users: tier, block, metadata")

    acts.add("show", asks("GET /user/info", _tell), "a user's record and use", user=True)

    new = acts.add("new", asks("POST /user/new", _tell), "make a user")
    new.add_argument("user_id", nargs="?", metavar="user", help="the user's id; made up if it is not given")
    # A key is shown once, and this is no place to show one: `scalix key generate` is.
    new.set_defaults(auto_create_key=False)
    _add_fields(new)

    change = asks("POST /user/update", _tell)
    _add_fields(acts.add("update", change, "change a user; what is not named stays", user=True))

    delete = acts.add("delete", asks("POST /user/delete", _tell_deleted), "delete users: records and counters")
    delete.add_argument("user_ids", nargs="+", metavar="user", help="the users' ids")

    listing = acts.add("list", asks("GET /user/list", _tell_list), "the users that have a record", shapes=A_TABLE)
    listing.add_argument("--page", type=int, default=1, metavar="N", help="which page (default 1)")
    listing.add_argument("--page-size", type=int, default=25, metavar="N", help="users on a page (25; at most 100)")

    credit = acts.add("credit", asks("POST /user/credit", _tell_credit), "add to a user's prepaid balance", user=True)
    credit.add_argument("amount_usd", metavar="usd", help="US dollars, such as 25.00; a negative amount takes away")
    credit.add_argument("--id", dest="credit_id", required=True, help="names the payment, which is added only once")

    acts.add("balance", asks("GET /user/balance", _tell_balance), "a user's prepaid balance", user=True)

    acts.add("export", _export, "everything that is kept of a user, as JSON", user=True, shapes=())
    acts.add(
        "erase",
        asks("DELETE /scalix/v1/users/{user_id}", _tell_erased, patience_s=_PATIENCE_S),
        "erase everything that is kept of a user; this can't be undone",
        "A call that failed can be made again, and goes on. Backups are out of reach: see docs/privacy.md.",
        user=True,
    )


def _add_fields(parser: argparse.ArgumentParser) -> None:
    tier = or_null(DEFAULT_TIER)
    parser.add_argument("--tier", type=tier, help=f"the user's tier; {DEFAULT_TIER} for the gateway's default tier")
    block = parser.add_mutually_exclusive_group()
    block.add_argument("--block", action="store_const", const=True, dest="blocked", help="refuse the user's requests")
    block.add_argument("--unblock", action="store_const", const=False, dest="blocked", help="take them again")
    parser.add_argument("--email", dest="user_email", metavar="EMAIL", help="kept in the metadata")
    parser.add_argument("--alias", dest="user_alias", metavar="ALIAS", help="kept in the metadata")
    parser.add_argument("--metadata", type=_object, metavar="JSON", help="all of the metadata, such as '{\"plan\": 1}'")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise expected('a JSON object such as {"plan": "x"}', text)
    return value


def _export(options: Options, session: Session) -> None:
    print_json(session.patient(_PATIENCE_S).get(f"/scalix/v1/users/{quote(options.user_id, safe='')}/export"))


def _tell(options: Options, answer: Any) -> None:
    usage = answer["usage"]
    metadata = answer.get("metadata_error") or json.dumps(answer["metadata"], ensure_ascii=False)
    rows = [
        ("tier", answer["tier"]),
        ("blocked", "yes" if answer["blocked"] else "no"),
        ("requests this hour", f"{usage['requests_this_hour']:,}"),
        ("requests today", f"{usage['requests_today']:,}"),
        ("tokens today", f"{usage['tokens_today']:,}"),
        ("spend today", f"{usage['spend_today_usd']:f} USD"),
        ("in flight", f"{usage['in_flight_requests']:,}"),
        ("own limits", json.dumps(answer["overrides"]) if answer["overrides"] else "none"),
        ("metadata", metadata),
        ("made", answer["created_at"] or "-"),
        ("changed", answer["updated_at"] or "-"),
    ]
    print_record(f"user {_printable(answer['user_id'])}", rows)


def _tell_deleted(options: Options, answer: Any) -> None:
    print(f"deleted: {', '.join(map(_printable, answer['deleted']))}")


def _tell_list(options: Options, answer: Any) -> None:
    rows = [{**user, "own_limits": bool(user["overrides"])} for user in answer["users"]]
    total, pages = f"{answer['total']:,} users", f"page {answer['page']} of {max(1, answer['total_pages'])}"
    print_rows(options, f"{total}, {pages}", _COLUMNS, rows, f"{total}, nothing on {pages}")


def _tell_credit(options: Options, answer: Any) -> None:
    done = f"credited {options.amount_usd} USD"
    if not answer["credited"]:
        done = f"{options.credit_id} was credited before, nothing was added"
    print(f"{_printable(options.user_id)}: {done}; {_balance(answer)}")


def _tell_balance(options: Options, answer: Any) -> None:
    nothing = "no balance, nothing was ever credited"
    print(f"{_printable(options.user_id)}: {nothing if answer['balance_usd'] is None else _balance(answer)}")


def _balance(answer: Any) -> str:
    reserved = f", {answer['reserved_usd']:f} USD of it reserved" if answer["reserved_usd"] else ""
    return f"balance {answer['balance_usd']:f} USD{reserved}"


def _tell_erased(options: Options, answer: Any) -> None:
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in answer["erased"].items()]
    rows += [(f"store: {name.replace('_', ' ')}", state) for name, state in answer["store_files"].items()]
    rows.append(("days of billing kept without a name", f"{answer['billing_days_kept']:,}"))
    print_record(f"{options.user_id} is erased", rows)
    if not any(count for name, count in answer["erased"].items() if name != "audit_names"):
        print("nothing was kept under this name: is it the right one?")
    for day, host in answer["archived_elsewhere"].items():
        print(f"the events of {day} are in an archive on {host}: erase the user there too")


def _printable(name: str) -> str:
    return name if name.isprintable() else quote(name)
