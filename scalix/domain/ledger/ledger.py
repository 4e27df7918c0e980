"""The words of the ledger: one event for each request, and the sums that are kept beside the events.

An event never holds content. Its text in the store is words, parted by spaces: its figures in the order of
`EVENT_FIELDS`; three more if it is a sweep's, which belong to the scripts; those of `LATER_FIELDS`; and its version.
Gateways of several versions read each other's events, so that nothing of this is ever moved or left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import quote, unquote

import re2

_NONE = "-"


def name_word(name: str) -> str:
    """A name as one word without spaces, commas or a meaning of its own; `-` for none."""
    word = quote(name, safe="/:._-@+")
    return "%2D" + word[1:] if word.startswith(_NONE) else word or _NONE


def name_of(word: str) -> str:
    """The name that `name_word` has made a word of."""
    return "" if word == _NONE else unquote(word)


def names_word(names: Sequence[str]) -> str:
    """Names as one word; `-` for none."""
    return ",".join(map(name_word, names)) or _NONE


def names_of(word: str) -> tuple[str, ...]:
    """The names that `names_word` has made a word of."""
    return () if word == _NONE else tuple(map(name_of, word.split(",")))


@dataclass(frozen=True, slots=True)
class EventField:
    """One word of an event's text: a value of `Event` or of its `Detail`, how it is written and how it is read.

    `since` is the version that has brought it. Events of before have no such word; they have the default of `Detail`.
    `is_operators`: users are not shown it.
    """

    name: str
    word: Callable[[Any], str] = str
    value: Callable[[str], Any] = int
    since: int = 1
    is_operators: bool = False


def _numbers(*names: str) -> list[EventField]:
    return [EventField(name) for name in names]


def _names(*names: str, since: int = 1, is_operators: bool = False) -> list[EventField]:
    return [EventField(name, name_word, name_of, since, is_operators) for name in names]


EVENT_FIELDS = (
    EventField("outcome", str, str),
    *_numbers("requests", "tokens", "nano_usd"),
    EventField("estimated", lambda value: str(int(value)), lambda word: word == "1"),
    *_numbers("admitted_ms"),
    *_names("key_id", "tier"),
    EventField("model", str, str),
    EventField("served", str, str),
    *_names("provider"),
    *_numbers("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *_numbers("cost_nano_usd", "charge_nano_usd"),
    *_names("price_version"),
    *_numbers("latency_ms"),
    EventField(
        "first_token_ms",
        lambda value: _NONE if value is None else str(value),
        lambda word: None if word == _NONE else int(word),
    ),
    EventField("flags", str, str),
    *_names("error"),
    EventField("fallbacks", names_word, names_of),
)
"""An event's words in their order, as it has been from the first version on. Those of `model`, `served` and `flags` are
made of several values."""

LATER_FIELDS: tuple[EventField, ...] = (
    *_names("deployment", "engine", since=3, is_operators=True),
    EventField("failed_deployments", names_word, names_of, since=3, is_operators=True),
)
"""What later versions have added to `Detail`, in the order of their coming. See "A new field" in docs/ledger.md."""

IN_TIME_SINCE = 4
"""The version since which events are written into the indexes by time. What is of before is put there by a job."""

PEOPLE_SINCE = 4
"""From this version on who writes an event also counts whose it is and its first byte: see lua/people.lua."""

EVENT_VERSION = max([IN_TIME_SINCE, PEOPLE_SINCE, *(one.since for one in LATER_FIELDS)])
"""Of the events that are written now. 1: those without a version."""

READ_WHOLE = 256
"""Up to so many events of a user's day are read as a whole; beyond, they have an index: see lua/ledger.lua."""

_OF_EVENT, _OF_DETAIL = EVENT_FIELDS[:7], EVENT_FIELDS[7:]
_SWEPT, _OF_A_SWEEP = "swept", 3
_VERSION = re2.compile(r"v[1-9][0-9]{0,8}")
_STREAMED, _CACHE_HIT = "s", "c"
_AS_ASKED = "="  # in place of the model that served
OTHER = "other"
"""The model that sums name for all those beyond a day's most names that wildcards serve."""
_AMONG_OTHERS = "="  # before the word of such a model, which no name begins with


@dataclass(frozen=True, slots=True)
class Detail:
    """What an event says of a request beside its charge.

    `tier` is empty for the operator. `model` is the one that was asked for, `served` the one that answered (empty: none
    did); `among_others`: sums name the asked one `other`. `cost_nano_usd` is the provider's price, `charge_nano_usd`
    what the user is billed, by the prices of `price_version`. `error` is an `ErrorClass` or empty; `fallbacks` are the
    models that were tried in vain before. `deployment` is the one that has answered (empty: none, or nobody knows), or
    the name of a model that has no several, and `engine` what has asked it; `failed_deployments` are the attempts that
    have failed, as `name:engine:class`.
    """

    tier: str = ""
    model: str = ""
    served: str = ""
    provider: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    charge_nano_usd: int = 0
    price_version: str = ""
    latency_ms: int = 0
    first_token_ms: int | None = None
    streamed: bool = False
    cache_hit: bool = False
    error: str = ""
    fallbacks: tuple[str, ...] = ()
    among_others: bool = False
    deployment: str = ""
    engine: str = ""
    failed_deployments: tuple[str, ...] = ()


NO_DETAIL = Detail()


@dataclass(frozen=True, slots=True)
class Event:
    """One request in the ledger. `admitted_ms` is Unix time of the store; `nano_usd` is what its windows count."""

    request_id: str
    subject: str
    admitted_ms: int
    key_id: str
    outcome: str
    requests: int
    tokens: int
    nano_usd: int
    estimated: bool
    detail: Detail
    version: int = field(default=EVENT_VERSION, compare=False)


@dataclass(frozen=True, slots=True)
class Sums:
    """Figures of many events together, in the order in which the store packs them.

    There are eleven for good: gateways of before could read no twelfth. What else is summed has a hash of its own.
    """

    events: int = 0
    requests: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    nano_usd: int = 0
    cost_nano_usd: int = 0
    charge_nano_usd: int = 0
    latency_ms: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*map(int.__add__, self.values(), other.values()))

    def values(self) -> tuple[int, ...]:
        """The figures in the packed order."""
        return tuple(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Summary:
    """One user's sums of one day (UTC, days since 1970-01-01), model that served (else asked), tier and key."""

    day: int
    model: str
    tier: str
    key_id: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Everybody's sums of one hour or day (index since 1970-01-01) by model, provider, tier, outcome and error."""

    index: int
    model: str
    provider: str
    tier: str
    outcome: str
    error: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Balance:
    """A prepaid balance. May be negative: what a request used beyond its reservation is owed."""

    nano_usd: int
    held_nano_usd: int = 0


_summed = attrgetter(*(name if name in Event.__slots__ else f"detail.{name}" for name in Sums.__slots__[1:]))


def sums_of(event: Event) -> Sums:
    """What one event adds to the sums."""
    return Sums(1, *_summed(event))


def summed_model(detail: Detail) -> str:
    """The model under which sums count a request: the one that served, else the one that was asked for."""
    name = detail.served or detail.model
    return OTHER if detail.among_others and name == detail.model else name


def model_word(name: str, *, among_others: bool) -> str:
    """The model that was asked for, as an event and a reservation have it."""
    return (_AMONG_OTHERS if among_others else "") + name_word(name)


def event_words(event: Event) -> list[str]:
    """An event as the words of its text that all versions have."""
    detail = event.detail
    made = {
        "model": model_word(detail.model, among_others=detail.among_others),
        "served": _AS_ASKED if detail.served == detail.model else name_word(detail.served),
        "flags": _STREAMED * detail.streamed + _CACHE_HIT * detail.cache_hit or _NONE,
    }
    words = [one.word(getattr(event, one.name)) for one in _OF_EVENT]
    return words + [made.get(one.name) or one.word(getattr(detail, one.name)) for one in _OF_DETAIL]


def last_words(detail: Detail) -> str:
    """The end of an event's text: the later fields, and the version of what is written now."""
    return " ".join([*(one.word(getattr(detail, one.name)) for one in LATER_FIELDS), f"v{EVENT_VERSION}"])


def later_values(words: Sequence[str]) -> tuple[dict[str, Any], int]:
    """Of an event's words the values of `LATER_FIELDS`, as far as it has them, and its version. What a newer version
    has added beyond them says nothing here."""
    rest = list(words[len(EVENT_FIELDS) + (_OF_A_SWEEP if words[0] == _SWEPT else 0) :])
    version = int(rest.pop()[1:]) if rest and _VERSION.fullmatch(rest[-1]) else 1
    return {one.name: one.value(word) for one, word in zip(LATER_FIELDS, rest, strict=False)}, version


def event_of(request_id: str, subject: str, text: str) -> Event:
    """The event with this text. Raises `ValueError` for a text that is none."""
    words = text.split(" ")
    if len(words) < len(EVENT_FIELDS):
        raise ValueError("not an event's text")
    of_event = {one.name: one.value(word) for one, word in zip(_OF_EVENT, words, strict=False)}
    values = {one.name: one.value(word) for one, word in zip(_OF_DETAIL, words[len(_OF_EVENT) :], strict=False)}
    model, served, flags = values["model"].removeprefix(_AMONG_OTHERS), values["served"], values.pop("flags")
    values["among_others"] = values["model"] != model
    values["model"], values["served"] = name_of(model), name_of(model if served == _AS_ASKED else served)
    later, version = later_values(words)
    detail = Detail(**values, streamed=_STREAMED in flags, cache_hit=_CACHE_HIT in flags, **later)
    return Event(request_id=request_id, subject=subject, **of_event, detail=detail, version=version)
