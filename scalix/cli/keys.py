"""`scalix key`: make, list, show, change, block, rotate and delete virtual keys."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scalix.cli.command_line import Acts
from scalix.cli.session import Refused, Session, in_json, print_json, print_record, print_table
from scalix.domain.identity.key_secrets import is_digest
from scalix.domain.limits.spans import span_ms

NEVER, NONE = "never", "none"
_PAGE = 100
_COLUMNS = ("alias", "key", "user", "status", "spend", "budget", "requests", "expires", "token")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `key` and what it can do."""
    acts = Acts(commands, "key", "virtual keys: limits, budgets, rotation")

    generate = acts.add(
        "generate",
        _generate,
        "make a key, and print it: it can't be shown again",
        "example: scalix key generate --user alice --alias laptop --max-budget 5 --budget-duration 30d",
    )
    generate.add_argument("--user", dest="user_id", help="whose key it is; without, it is a user of its own")
    _add_fields(generate)

    listing = acts.add("list", _list, "the keys that there are, the newest first")
    listing.add_argument("--user", dest="user_id", help="those of one user")
    listing.add_argument("--page", type=int, default=1, metavar="N", help="which page (default 1)")
    listing.add_argument("--size", type=int, default=25, metavar="N", help="keys on a page (default 25, at most 100)")

    info = acts.add("info", _info, "one key and its use")

    update = acts.add("update", _update, "change a key; what is not named stays")
    _add_fields(update)
    update.add_argument("--spend", type=float, metavar="USD", help="what it counts as having spent, such as 0")

    regenerate = acts.add("regenerate", _regenerate, "give a key a new secret, and print it")
    regenerate.add_argument("--grace", metavar="TIME", help="how long the old secret still works, such as 24h")

    for name, text in (("block", "refuse a key's requests"), ("unblock", "take them again")):
        _add_key(acts.add(name, _block, text))

    delete = acts.add("delete", _delete, "delete keys, for good")
    delete.add_argument("keys", nargs="+", metavar="KEY", help=_KEY_HELP)

    expiring = acts.add("expiring", _expiring, "the keys that will end soon")
    expiring.add_argument("--within", default="7d", type=_span, metavar="TIME", help="such as 7d (the default)")

    for one in (info, update, regenerate):
        _add_key(one)


_KEY_HELP = "its alias, its token (SHA-256), or - to read the key itself from standard input"


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help=_KEY_HELP)


def _add_fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", dest="key_alias", help="a name that no other key has")
    parser.add_argument("--models", type=_names, metavar="A,B", help=f"names or patterns; {NONE} for all of the tier's")
    parser.add_argument("--max-budget", type=_amount, metavar="USD", help=f"the most that it may spend, or {NONE}")
    parser.add_argument("--budget-duration", type=_or_none, metavar="TIME", help=f"for each such time, or {NONE}")
    parser.add_argument(
        "--duration", type=_lifetime, metavar="TIME", help=f"how long it lives, such as 30d, or {NEVER}"
    )
    parser.add_argument("--rpm", dest="rpm_limit", type=_count, metavar="N", help=f"requests per minute, or {NONE}")
    parser.add_argument("--tpm", dest="tpm_limit", type=_count, metavar="N", help=f"tokens per minute, or {NONE}")
    parser.add_argument(
        "--parallel", dest="max_parallel_requests", type=_count, metavar="N", help=f"requests at once, or {NONE}"
    )
    parser.add_argument(
        "--allow-ips", dest="allowed_ips", type=_names, metavar="A,B", help=f"networks that may use it; {NONE} for any"
    )
    parser.add_argument(
        "--deny-ips", dest="denied_ips", type=_names, metavar="A,B", help=f"networks that may not use it, or {NONE}"
    )


_FIELDS = (
    *("user_id", "key_alias", "models", "max_budget", "budget_duration", "duration", "rpm_limit", "tpm_limit"),
    *("max_parallel_requests", "spend", "allowed_ips", "denied_ips"),
)
_TAKE_AWAY = "\0"  # told from "not named", which argparse gives as None


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(options, name, None) for name in _FIELDS}
    return {name: None if value == _TAKE_AWAY else value for name, value in given.items() if value is not None}


def _or_none(text: str) -> Any:
    return _TAKE_AWAY if text == NONE else text


def _names(text: str) -> Any:
    return _TAKE_AWAY if text == NONE else [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> Any:
    return _TAKE_AWAY if text == NONE else int(text)


def _amount(text: str) -> Any:
    return _TAKE_AWAY if text == NONE else float(text)


def _lifetime(text: str) -> Any:
    return _TAKE_AWAY if text == NEVER else text


def _span(text: str) -> int:
    length_ms = span_ms(text)
    if length_ms is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 12h, 7d or 2w")
    return length_ms


def _named(options: argparse.Namespace, session: Session) -> str:
    """The key's token or secret, from what was written on the command line."""
    return _resolved(options.key, session)


def _resolved(text: str, session: Session) -> str:
    if text == "-":
        return sys.stdin.readline().strip()
    if text.startswith("sk-"):
        raise Refused("a key on the command line can be seen by others: write its alias, its token, or - to read it")
    if is_digest(text):
        return text
    found: list[str] = session.get("/key/list", key_alias=text)["keys"]
    if not found:
        raise Refused(f"no key has the alias '{text}'", "key_not_found")
    return found[0]


def _generate(options: argparse.Namespace, session: Session) -> None:
    _tell_secret(options, session.post("/key/generate", _fields(options)))


def _regenerate(options: argparse.Namespace, session: Session) -> None:
    body = {"key": _named(options, session), **({"grace_period": options.grace} if options.grace else {})}
    _tell_secret(options, session.post("/key/regenerate", body))


def _tell_secret(options: argparse.Namespace, answer: Mapping[str, Any]) -> None:
    if in_json(options, answer):
        return
    # Alone on standard output, so that it can be piped to where it belongs.
    print(answer["key"])
    print(f"of user {answer['user_id']}; it can't be shown again", file=sys.stderr)


def _list(options: argparse.Namespace, session: Session) -> None:
    query = {"page": str(options.page), "size": str(options.size), "return_full_object": "true"}
    if options.user_id is not None:
        query["user_id"] = options.user_id
    answer = session.get("/key/list", **query)
    if in_json(options, answer):
        return
    _table(f"keys, page {answer['current_page']} of {answer['total_pages']}", answer["keys"])


def _info(options: argparse.Namespace, session: Session) -> None:
    # By its token: a secret would stand in the URL, and so in the logs of whatever is in between.
    named = _named(options, session)
    if not is_digest(named):
        from scalix.domain.identity.key_secrets import digest_of

        named = digest_of(named)
    _tell(options, session.get("/key/info", key=named)["info"])


def _update(options: argparse.Namespace, session: Session) -> None:
    fields = _fields(options)
    if not fields:
        raise Refused("nothing to change: write for example --rpm 60")
    _tell(options, session.post("/key/update", {"key": _named(options, session), **fields}))


def _block(options: argparse.Namespace, session: Session) -> None:
    _tell(options, session.post(f"/key/{options.act}", {"key": _named(options, session)}))


def _delete(options: argparse.Namespace, session: Session) -> None:
    answer = session.post("/key/delete", {"keys": [_resolved(text, session) for text in options.keys]})
    if options.json:
        print_json(answer)
    else:
        print(f"deleted {len(answer['deleted_keys'])} key(s)")


def _expiring(options: argparse.Namespace, session: Session) -> None:
    until = datetime.now(UTC) + timedelta(milliseconds=options.within)
    ending = [
        key
        for key in _all(session)
        if key["expires"] and key["status"] != "expired" and datetime.fromisoformat(key["expires"]) <= until
    ]
    ending.sort(key=lambda key: str(key["expires"]))
    if options.json:
        print_json({"keys": ending})
    elif ending:
        _table("keys that will end soon", ending)
    else:
        print("no key ends within that time")


def _all(session: Session) -> Iterator[dict[str, Any]]:
    page = pages = 1
    while page <= pages:
        answer = session.get("/key/list", page=str(page), size=str(_PAGE), return_full_object="true")
        yield from answer["keys"]
        page, pages = page + 1, answer["total_pages"]


def _tell(options: argparse.Namespace, key: Mapping[str, Any]) -> None:
    if in_json(options, key):
        return
    rows = [(name, _text(value)) for name, value in key.items() if name not in ("key", "token_id")]
    print_record(f"key {key['key_alias'] or key['key_name']}", rows)


def _table(title: str, keys: list[dict[str, Any]]) -> None:
    rows = [
        (
            key["key_alias"] or "-",
            key["key_name"],
            key["user_id"],
            key["status"],
            f"{key['spend']:.6f}",
            "-" if key["max_budget"] is None else f"{key['max_budget']:g}",
            str(key["requests"]),
            key["expires"] or "-",
            f"{key['token'][:12]}…",
        )
        for key in keys
    ]
    print_table(title, _COLUMNS, rows)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
