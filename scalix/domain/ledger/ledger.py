"""The words of the ledger: one event for each request, and the sums that are kept beside the events.

An event never holds content. Its text in the store is words, parted by spaces: its figures in the order of
`EVENT_FIELDS`; three more if it is a sweep's, which belong to the scripts; those of `LATER_FIELDS`; and its version.
Gateways of several versions read each other's events, so that nothing of this is ever moved or left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import re2

EVENT_FIELDS = (
    "outcome",
    "requests",
    "tokens",
    "nano_usd",
    "estimated",
    "admitted_ms",
    "key_id",
    "tier",
    "model",
    "served",
    "provider",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_nano_usd",
    "charge_nano_usd",
    "price_version",
    "latency_ms",
    "first_token_ms",
    "flags",
    "error",
    "fallbacks",
)
"""The order of an event's text, as it has been from the first version on."""

LATER_FIELDS: tuple[str, ...] = ()
"""What later versions have added, in the order of their coming. See "A new field" in docs/ledger.md."""

EVENT_VERSION = 2
"""Of the events that are written now. 1: those without a version."""

DETAIL_FIELDS = EVENT_FIELDS[7:]
_NONE = "-"
_SWEPT, _OF_A_SWEEP = "swept", 3
_VERSION = re2.compile(r"v[1-9][0-9]{0,8}")
_STREAMED, _CACHE_HIT = "s", "c"
OTHER = "other"
"""The model that sums name for all those beyond a day's most names that wildcards serve."""
_AMONG_OTHERS = "="  # before the word of such a model, which no name begins with


@dataclass(frozen=True, slots=True)
class Detail:
    """What an event says of a request beside its charge.

    `tier` is empty for the operator. `model` is the one that was asked for, `served` the one that answered (empty: none
    did); `among_others`: sums name the asked one `other`. `cost_nano_usd` is the provider's price, `charge_nano_usd`
    what the user is billed, by the prices of `price_version`. `error` is an `ErrorClass` or empty; `fallbacks` are the
    models that were tried in vain before.
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

    def __neg__(self) -> "Sums":
        return Sums(*(-value for value in self.values()))

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


def sums_of(event: Event) -> Sums:
    """What one event adds to the sums."""
    detail = event.detail
    return Sums(
        1,
        event.requests,
        event.tokens,
        detail.prompt_tokens,
        detail.completion_tokens,
        detail.cached_tokens,
        detail.reasoning_tokens,
        event.nano_usd,
        detail.cost_nano_usd,
        detail.charge_nano_usd,
        detail.latency_ms,
    )


def summed_model(detail: Detail) -> str:
    """The model under which sums count a request: the one that served, else the one that was asked for."""
    name = detail.served or detail.model
    return OTHER if detail.among_others and name == detail.model else name


def model_word(name: str, *, among_others: bool) -> str:
    """The model that was asked for, as an event and a reservation have it."""
    return (_AMONG_OTHERS if among_others else "") + name_word(name)


def detail_words(detail: Detail) -> list[str]:
    """A detail as the words of an event's text, in the order of `DETAIL_FIELDS`."""
    flags = _STREAMED * detail.streamed + _CACHE_HIT * detail.cache_hit
    return [
        name_word(detail.tier),
        model_word(detail.model, among_others=detail.among_others),
        "=" if detail.served == detail.model else name_word(detail.served),
        name_word(detail.provider),
        str(detail.prompt_tokens),
        str(detail.completion_tokens),
        str(detail.cached_tokens),
        str(detail.reasoning_tokens),
        str(detail.cost_nano_usd),
        str(detail.charge_nano_usd),
        name_word(detail.price_version),
        str(detail.latency_ms),
        _NONE if detail.first_token_ms is None else str(detail.first_token_ms),
        flags or _NONE,
        name_word(detail.error),
        ",".join(map(name_word, detail.fallbacks)) or _NONE,
    ]


def event_text(words: Sequence[str], of_a_sweep: Sequence[str] = ()) -> str:
    """The text of an event that is written now, from the words of `EVENT_FIELDS` and the three of a sweep."""
    return " ".join([*words, *of_a_sweep, f"v{EVENT_VERSION}"])


def later_words(words: Sequence[str]) -> tuple[dict[str, str], int]:
    """Of an event's words those that `LATER_FIELDS` name, as far as it has them, and its version. What a newer version
    has added beyond them says nothing here."""
    rest = list(words[len(EVENT_FIELDS) + (_OF_A_SWEEP if words[0] == _SWEPT else 0) :])
    version = int(rest.pop()[1:]) if rest and _VERSION.fullmatch(rest[-1]) else 1
    return dict(zip(LATER_FIELDS, rest, strict=False)), version


def event_of(request_id: str, subject: str, text: str) -> Event:
    """The event with this text. Raises `ValueError` for a text that is none."""
    words = text.split(" ")
    if len(words) < len(EVENT_FIELDS):
        raise ValueError("not an event's text")
    word = dict(zip(EVENT_FIELDS, words, strict=False))

    def number(field: str) -> int:
        return int(word[field])

    served, first_token_ms, fallbacks = word["served"], word["first_token_ms"], word["fallbacks"]
    model = word["model"].removeprefix(_AMONG_OTHERS)
    detail = Detail(
        tier=name_of(word["tier"]),
        model=name_of(model),
        served=name_of(model if served == "=" else served),
        provider=name_of(word["provider"]),
        prompt_tokens=number("prompt_tokens"),
        completion_tokens=number("completion_tokens"),
        cached_tokens=number("cached_tokens"),
        reasoning_tokens=number("reasoning_tokens"),
        cost_nano_usd=number("cost_nano_usd"),
        charge_nano_usd=number("charge_nano_usd"),
        price_version=name_of(word["price_version"]),
        latency_ms=number("latency_ms"),
        first_token_ms=None if first_token_ms == _NONE else int(first_token_ms),
        streamed=_STREAMED in word["flags"],
        cache_hit=_CACHE_HIT in word["flags"],
        error=name_of(word["error"]),
        fallbacks=() if fallbacks == _NONE else tuple(map(name_of, fallbacks.split(","))),
        among_others=word["model"] != model,
    )
    return Event(
        request_id=request_id,
        subject=subject,
        admitted_ms=number("admitted_ms"),
        key_id=name_of(word["key_id"]),
        outcome=word["outcome"],
        requests=number("requests"),
        tokens=number("tokens"),
        nano_usd=number("nano_usd"),
        estimated=word["estimated"] == "1",
        detail=detail,
        version=later_words(words)[1],
    )


def name_word(name: str) -> str:
    """A name as one word without spaces, commas or a meaning of its own; `-` for none."""
    word = quote(name, safe="/:._-@+")
    return "%2D" + word[1:] if word.startswith(_NONE) else word or _NONE


def name_of(word: str) -> str:
    """The name that `name_word` has made a word of."""
    return "" if word == _NONE else unquote(word)
