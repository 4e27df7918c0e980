"""`scalix key`: make, list, show, change, block, rotate and delete virtual keys."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from scalix.cli.acts import A_TABLE, Acts, Options, Run, asks, given, or_null, tell
from scalix.cli.command_line import expected
from scalix.cli.session import Refused, Session
from scalix.cli.tables import print_record, print_rows, print_text
from scalix.domain.identity.key_secrets import digest_of, is_digest
from scalix.domain.limits.spans import span_ms

NEVER, NONE = "never", "none"
_PAGE = 100
_COLUMNS = (
    *("key_alias", "key_name", "user_id", "status", "spend", "max_budget", "requests", "expires", "token"),
    "created_by",
)
_KEY_HELP = "its alias, its token (SHA-256), or - to read the key itself from standard input"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `key` and what it can do."""
    acts = Acts(commands, "key", "virtual keys: limits, budgets, rotation")

    generate = acts.add(
        "generate",
        asks("POST /key/generate", _tell_secret),
        "make a key, and print it: it can't be shown again",
        "example: scalix key generate --user alice --alias laptop --max-budget 5 --budget-duration 30d",
    )
    generate.add_argument("--user", dest="user_id", help="whose key it is; without, it is a user of its own")
    _add_fields(generate)

    listing = acts.add(
        "list", asks("GET /key/list", _tell_list), "the keys that there are, the newest first", shapes=A_TABLE
    )
    listing.add_argument("--user", dest="user_id", help="those of one user")
    listing.add_argument("--page", type=int, default=1, metavar="N", help="which page (default 1)")
    listing.add_argument("--size", type=int, default=25, metavar="N", help="keys on a page (default 25, at most 100)")
    listing.set_defaults(return_full_object="true")

    info = acts.add("info", _info, "one key and its use")

    update = acts.add("update", _update, "change a key; what is not named stays")
    _add_fields(update)
    update.add_argument("--spend", type=float, metavar="USD", help="what it counts as having spent, such as 0")

    new_secret = _of_key(asks("POST /key/regenerate", _tell_secret))
    regenerate = acts.add("regenerate", new_secret, "give a key a new secret, and print it")
    regenerate.add_argument("--grace", dest="grace_period", metavar="TIME", help="how long the old secret still works")

    block = acts.add("block", _of_key(asks("POST /key/block", _tell)), "refuse a key's requests")
    unblock = acts.add("unblock", _of_key(asks("POST /key/unblock", _tell)), "take them again")

    delete = acts.add("delete", _delete, "delete keys, for good")
    delete.add_argument("keys", nargs="+", metavar="KEY", help=_KEY_HELP)

    expiring = acts.add("expiring", _expiring, "the keys that will end soon", shapes=A_TABLE)
    expiring.add_argument("--within", default="7d", type=_span, metavar="TIME", help="such as 7d (the default)")

    for one in (info, update, regenerate, block, unblock):
        one.add_argument("key", metavar="KEY", help=_KEY_HELP)


def _add_fields(parser: argparse.ArgumentParser) -> None:
    names, count, amount = or_null(NONE, _names), or_null(NONE, int), or_null(NONE, float)
    for option, field, kind, metavar, text in (
        ("--alias", "key_alias", str, "NAME", "a name that no other key has"),
        ("--models", "models", names, "A,B", f"names or patterns; {NONE} for all of the tier's"),
        ("--max-budget", "max_budget", amount, "USD", f"the most that it may spend, or {NONE}"),
        ("--budget-duration", "budget_duration", or_null(NONE), "TIME", f"a budget's time, such as 30d, or {NONE}"),
        ("--duration", "duration", or_null(NEVER), "TIME", f"how long it lives, such as 30d, or {NEVER}"),
        ("--rpm", "rpm_limit", count, "N", f"requests per minute, or {NONE}"),
        ("--tpm", "tpm_limit", count, "N", f"tokens per minute, or {NONE}"),
        ("--parallel", "max_parallel_requests", count, "N", f"requests at once, or {NONE}"),
        ("--allow-ips", "allowed_ips", names, "A,B", f"networks that may use it; {NONE} for any"),
        ("--deny-ips", "denied_ips", names, "A,B", f"networks that may not use it, or {NONE}"),
    ):
        parser.add_argument(option, dest=field, type=kind, metavar=metavar, help=text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _span(text: str) -> int:
    length_ms = span_ms(text)
    if length_ms is None:
        raise expected("a time such as 12h, 7d or 2w", text)
    return length_ms


def _of_key(run: Run) -> Run:
    """The same command, given the token of its option `key`."""

    def on_key(options: Options, session: Session) -> None:
        options.key = _token(options.key, session)
        run(options, session)

    return on_key


def _token(text: str, session: Session) -> str:
    """The token of a key that was named on the command line. Its secret must not get into URLs and logs."""
    if text == "-":
        secret = sys.stdin.readline().strip()
        return secret if is_digest(secret) else digest_of(secret)
    if text.startswith("sk-"):
        raise Refused("a key on the command line can be seen by others: write its alias, its token, or - to read it")
    if is_digest(text):
        return text
    found: list[str] = session.get("/key/list", key_alias=text)["keys"]
    if not found:
        raise Refused(f"no key has the alias '{text}'", "key_not_found")
    return found[0]


def _info(options: Options, session: Session) -> None:
    tell(options, session.get("/key/info", key=_token(options.key, session))["info"], _tell)


def _update(options: Options, session: Session) -> None:
    if given(options).keys() == {"key"}:
        raise Refused("nothing to change: write for example --rpm 60")
    _of_key(asks("POST /key/update", _tell))(options, session)


def _delete(options: Options, session: Session) -> None:
    options.keys = [_token(text, session) for text in options.keys]
    asks("POST /key/delete", _tell_deleted)(options, session)


def _expiring(options: Options, session: Session) -> None:
    until = datetime.now(UTC) + timedelta(milliseconds=options.within)
    ending = [
        key
        for key in _all(session)
        if key["expires"] and key["status"] != "expired" and datetime.fromisoformat(key["expires"]) <= until
    ]
    ending.sort(key=lambda key: str(key["expires"]))
    tell(options, {"keys": ending}, _tell_ending)


def _all(session: Session) -> Iterator[dict[str, Any]]:
    page = pages = 1
    while page <= pages:
        answer = session.get("/key/list", page=page, size=_PAGE, return_full_object="true")
        yield from answer["keys"]
        page, pages = page + 1, answer["total_pages"]


def _tell_secret(options: Options, answer: Any) -> None:
    # Alone on standard output, so that it can be piped to where it belongs.
    print(answer["key"])
    print(f"of user {answer['user_id']}; it can't be shown again", file=sys.stderr)


def _tell(options: Options, key: Any) -> None:
    rows = [(name, _text(value)) for name, value in key.items() if name not in ("key", "token_id")]
    print_record(f"key {key['key_alias'] or key['key_name']}", rows)


def _tell_deleted(options: Options, answer: Any) -> None:
    print(f"deleted {len(answer['deleted_keys'])} key(s)")


def _tell_list(options: Options, answer: Any) -> None:
    page, pages = answer["current_page"], answer["total_pages"]
    title = f"{answer['total_count']:,} keys, page {page} of {max(1, pages)}"
    print_rows(options, title, _COLUMNS, answer["keys"], f"{title}: nothing")
    if page < pages:
        print_text(options, f"more: add --page {page + 1}")


def _tell_ending(options: Options, answer: Any) -> None:
    print_rows(options, "keys that will end soon", _COLUMNS, answer["keys"], "no key ends within that time")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
