"""The words of admission and settlement: what is asked, what is promised, what is charged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from scalix.domain.ledger.ledger import NO_DETAIL, Balance, Detail
from scalix.domain.limits.calendar import window_end_ms, window_index
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import CONCURRENT, Amounts, Limit, Limits, Metric, Window
from scalix.domain.limits.tallies import LATER_METRICS as LATER_METRICS
from scalix.domain.limits.tallies import Tally as Tally

UNKNOWN_VERSION = "0"  # the version of a user who has no record


@dataclass(frozen=True, slots=True)
class Prices:
    """The dearest prices that a request may meet. Pico-dollars keep fractions of a nano-dollar whole."""

    input_pico_usd_per_token: int = 0
    output_pico_usd_per_token: int = 0
    request_nano_usd: int = 0

    def cost_nano_usd(self, prompt_tokens: int, output_tokens: int) -> int:
        """Cost in nano-dollars, rounded up."""
        pico = prompt_tokens * self.input_pico_usd_per_token + output_tokens * self.output_pico_usd_per_token
        return self.request_nano_usd - (-pico // 1000)


FREE_OF_CHARGE = Prices()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for room.

    `output_cap_tokens` and `min_output_tokens` are per choice: the most that the answer may take if nothing else
    limits it, and the least that is worth asking for. `user_version` is what the caller believes the user's record to
    be; `None` skips the comparison. `least_prompt_tokens`: `prompt_tokens` is an estimate, never too low, and the
    prompt has at least these; `None`: it is the last word. `key` is the virtual key that the request came with: its
    limits hold beside the subject's. `tier` is what refusals by limits that are not enforced are counted under; the
    empty text counts none. `model` is the one that was asked for. `is_billed`: what it costs is taken from the
    subject's prepaid balance, if it has one; `prepaid`: it must have one. For a request whose worker dies:
    `prompt_charge_nano_usd` is what is charged for the prompt alone, as `prices` may be those of a fallback, and
    `prompt_cost_nano_usd` the provider's price of it by the prices of `price_version` (`None` each: as `prices` say).
    """

    request_id: str
    subject: str
    limits: Limits
    prompt_tokens: int
    output_cap_tokens: int
    min_output_tokens: int
    choices: int = 1
    prices: Prices = FREE_OF_CHARGE
    user_version: str | None = None
    lease_ms: int = 60_000
    tier: str = ""
    key: KeyScope | None = None
    model: str = ""
    is_billed: bool = False
    prepaid: bool = False
    prompt_cost_nano_usd: int | None = None
    prompt_charge_nano_usd: int | None = None
    price_version: str = ""
    least_prompt_tokens: int | None = None
    among_others: bool = False

    @property
    def sure_prompt_tokens(self) -> int:
        """What the prompt has for certain: a refusal of this very ask goes by it."""
        return self.prompt_tokens if self.least_prompt_tokens is None else self.least_prompt_tokens

    def needs(self, prompt_tokens: int, output_tokens: int) -> Amounts:
        """What it takes of each metric with so many tokens in the prompt, and in all choices of the answer."""
        cost_nano_usd = self.prices.cost_nano_usd(prompt_tokens, output_tokens)
        return (1, prompt_tokens + output_tokens, cost_nano_usd, *self.later.values())

    @property
    def later(self) -> dict[str, Any]:
        """What it takes of later metrics, as the detail of its event has it."""
        return {metric.unit.field: getattr(self, metric.unit.field) for metric in LATER_METRICS}

    @property
    def sure_needs(self) -> Amounts:
        """The least that it takes for certain."""
        return self.needs(self.sure_prompt_tokens, self.choices * self.min_output_tokens)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a reservation. Whoever holds it must settle or release it, exactly once.

    `admitted_ms` (Unix time of the store) names the windows that the request is charged to, whenever it ends; of its
    virtual key's, `budget_start_ms` names the budget period (0: none).
    """

    request_id: str
    subject: str
    admitted_ms: int
    prompt_tokens: int
    output_cap_tokens: int
    tracks_minutes: bool
    key_id: str | None = None
    budget_start_ms: int = 0


Tallies = dict[Window, Tally]
KeyTallies = dict[KeyWindow, Tally]


@dataclass(frozen=True, slots=True)
class WindowState:
    """One limit and where its subject stands. `reset_ms` is Unix time."""

    limit: Limit
    used: int
    held: int
    reset_ms: int

    @property
    def remaining(self) -> int:
        """What is left, never negative."""
        return max(0, self.limit.value - self.used - self.held)


def window_states(limits: Limits, tallies: Tallies, at_ms: int) -> tuple[WindowState, ...]:
    """The state of every limit, from the tallies of the windows that `at_ms` lies in."""
    return tuple(
        WindowState(
            limit,
            tallies.get(limit.window, _EMPTY).used(limit.metric),
            tallies.get(limit.window, _EMPTY).held(limit.metric),
            window_end_ms(limit.window, window_index(limit.window, at_ms)),
        )
        for limit in limits.windows
    )


_EMPTY = Tally()


class Verdict(StrEnum):
    """What admit says of one limit. `RESERVED`: there would be room if the requests in flight gave theirs back."""

    FITS = "0"
    EXHAUSTED = "1"
    RESERVED = "2"


@dataclass(frozen=True, slots=True)
class Admitted:
    """There is room, and it is reserved. `shadow` names the limits that would have refused if they were enforced.
    `balance` is that of a request that is billed, if there is one."""

    receipt: Receipt
    tallies: Tallies
    in_flight: int
    shadow: tuple[str, ...] = ()
    key_tallies: KeyTallies = field(default_factory=dict)
    balance: Balance | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No room; nothing was consumed. `verdicts` go with `Limits.windows` of the ask, in its order, and `key_verdicts`
    with the limits of its key. `balance` is the verdict of the prepaid balance, `balance_now` what it is (`None`: there
    is none)."""

    now_ms: int
    verdicts: tuple[Verdict, ...]
    concurrent_full: bool
    tallies: Tallies
    in_flight: int
    key_verdicts: tuple[Verdict, ...] = ()
    key_concurrent_full: bool = False
    key_tallies: KeyTallies = field(default_factory=dict)
    balance: Verdict = Verdict.FITS
    balance_now: Balance | None = None

    def is_by_money(self, ask: Ask) -> bool:
        """Whether there is too little money, of whichever limit or of the balance."""
        metrics = [limit.metric for limit in ask.limits.windows]
        metrics += [limit.metric for limit in (ask.key.limits if ask.key else ())]
        verdicts = (*self.verdicts, *self.key_verdicts, self.balance)
        return any(
            metric is Metric.SPEND and verdict is not Verdict.FITS
            for metric, verdict in zip((*metrics, Metric.SPEND), verdicts, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Stale:
    """A record has another version than the ask said: the user's or the key's (`"0"`: there is none). Read it again;
    nothing was consumed."""

    version: str
    which: Literal["user", "key"] = "user"


@dataclass(frozen=True, slots=True)
class CountFirst:
    """It depends on the size of the prompt, which is estimated: count it and ask again. Nothing was consumed.

    With more than `most_prompt_tokens` it would be refused, whatever requests in flight give back; `None`: with none.
    """

    most_prompt_tokens: int | None


@dataclass(frozen=True, slots=True)
class Finished:
    """This request id was released before it was admitted. Nothing was consumed."""


Decision = Admitted | Refused | Stale | Finished | CountFirst


class Outcome(StrEnum):
    """How a request ended. The outcome table of docs/limits.md says what each is charged."""

    SUCCESS = "success"
    CLIENT_CUT = "client_cut"
    PROVIDER_BROKE = "provider_broke"
    CLIENT_LEFT = "client_left"
    PROVIDER_FAILED = "provider_failed"
    PROVIDER_REFUSED = "provider_refused"
    CACHE_HIT = "cache_hit"
    SWEPT = "swept"


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request is charged in the end. `estimated`: counted by us because the provider's figure was unusable.

    `nano_usd` is what spend limits count; what the user is billed is in `detail`, which only the ledger takes.
    """

    outcome: Outcome
    requests: int
    tokens: int
    nano_usd: int
    estimated: bool = False
    detail: Detail = field(default=NO_DETAIL, compare=False)


SettleStatus = Literal["settled", "replaced", "duplicate"]


@dataclass(frozen=True, slots=True)
class Settled:
    """`replaced`: a sweep had charged this request and its charge gave way. `duplicate`: settled before, no change, and
    nothing is told of the key. `balance` is what is left of the prepaid balance, if the request changed it."""

    status: SettleStatus
    tallies: Tallies
    key_tallies: KeyTallies = field(default_factory=dict)
    balance: Balance | None = None


ANY_LIMIT = "any"


@dataclass(frozen=True, slots=True)
class ShadowCount:
    """How many requests of one tier a limit that is not enforced would have refused on one day (UTC).

    `day` counts days since 1970-01-01. `limit` is a limit's name, `concurrent`, or `any` for requests that at least
    one of them would have refused.
    """

    day: int
    tier: str
    limit: str
    requests: int


def shadowed(limits: Limits, verdicts: Sequence[Verdict], concurrent_full: bool) -> tuple[str, ...]:
    """The names of the limits that are not enforced and would have refused."""
    names = [
        limit.name
        for limit, verdict in zip(limits.windows, verdicts, strict=True)
        if verdict is not Verdict.FITS and not limit.enforce
    ]
    if concurrent_full and not limits.enforce_concurrent:
        names.append(CONCURRENT)
    return tuple(names)
