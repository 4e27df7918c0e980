"""Reads a URL's parameters as numbers, dates and moments; what makes no sense is a `BadRequest` that names it."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial

from scalix.domain.errors import BadRequest

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# What no counter of milliseconds of ours is meant for.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def refuse_unknown(what: str, given: Mapping[str, object], known: Collection[str]) -> None:
    """Raises `BadRequest` that names something given which is not `known`; `what` is how it is called."""
    unknown = given.keys() - set(known)
    if unknown:
        name = min(unknown)[:100]
        remedy = f"Known are: {', '.join(sorted(known))}." if known else "It takes none."
        raise BadRequest(f"The {what} '{name}' is not known here. {remedy}", param=name)


refuse_unknown_parameters = partial(refuse_unknown, "parameter")


def whole_number(query: Mapping[str, str], name: str, default: int, most: int, least: int = 1) -> int:
    """The number in `query[name]`. Raises `BadRequest`."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise BadRequest(f"'{name}' must be a whole number from {least} to {most}.", param=name)
    return int(text)


def one_of(query: Mapping[str, str], name: str, words: Collection[str], default: str) -> str:
    """The word in `query[name]`, which must be among `words`. Raises `BadRequest`."""
    word = query.get(name, default)
    if word not in words:
        raise BadRequest(f"'{name}' must be one of: {', '.join(words)}.", param=name)
    return word


def moment_ms(query: Mapping[str, str], name: str, *, is_end: bool = False) -> int | None:
    """Unix time in ms of a date or a time with its zone; of a date its beginning, of one that `is_end` the end.

    Raises `BadRequest`.
    """
    text = query.get(name)
    if text is None:
        return None
    # A `+` in a URL is a space: who writes a zone such as +01:00 plainly means it.
    text = text.strip().replace(" ", "+") if "T" in text else text
    try:
        moment = datetime.fromisoformat(text)
        if _DATE.fullmatch(text):
            moment = moment.replace(tzinfo=UTC) + timedelta(days=is_end)
        if moment.tzinfo is None or not _FIRST <= moment <= _LAST:
            raise ValueError
    except (ValueError, OverflowError):
        example = "such as 2026-01-31 or 2026-01-31T23:00:00Z"
        raise BadRequest(f"'{name}' must be a date (UTC) or a time with its zone, {example}.", param=name) from None
    return (moment - _FIRST) // timedelta(milliseconds=1)


def day_index(query: Mapping[str, str], name: str, default: int) -> int:
    """Days since 1970-01-01 of a date (UTC). Raises `BadRequest`."""
    text = query.get(name)
    if text is None:
        return default
    try:
        index = date.fromisoformat(text).toordinal() - _EPOCH_DAY if _DATE.fullmatch(text) else -1
    except ValueError:
        index = -1
    if index < 0:
        raise BadRequest(f"'{name}' must be a date (UTC) such as 2026-01-31.", param=name)
    return index


def date_of(day: int) -> str:
    """`2026-01-31`, for the index of a day since 1970-01-01."""
    return date.fromordinal(day + _EPOCH_DAY).isoformat()
