"""The outcome table: what each way for a request to end is charged."""

from dataclasses import dataclass

from scalix.domain.quota import Charge, Outcome, Prices

# No model takes or gives this many tokens in one request; a provider that says so is wrong.
IMPOSSIBLE_TOKENS = 50_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the provider reported them."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


def usage_from(prompt_tokens: object, completion_tokens: object) -> Usage | None:
    """A provider's figures if they can be true: whole numbers, not negative, a prompt, not absurd. Else `None`."""
    for value in (prompt_tokens, completion_tokens):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < IMPOSSIBLE_TOKENS:
            return None
    # There is no answer to a prompt of nothing.
    return Usage(prompt_tokens, completion_tokens) if prompt_tokens else None  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, and all that is known of its use.

    `usage` is `None` when the provider gave none that can be true; then `prompt_tokens` (our estimate) and
    `delivered_tokens` (our count of what went out) stand in for it. `cost_nano_usd` of `None` is unknown.
    """

    outcome: Outcome
    usage: Usage | None
    prompt_tokens: int
    delivered_tokens: int
    cost_nano_usd: int | None
    prices: Prices


_UNCHARGED = {Outcome.PROVIDER_FAILED: 0, Outcome.PROVIDER_REFUSED: 1, Outcome.CACHE_HIT: 1}


def charge_for(ending: Ending) -> Charge:
    """The charge of an ended request. Never negative: a provider's nonsense gives nobody credit."""
    if ending.outcome in _UNCHARGED:
        return Charge(ending.outcome, _UNCHARGED[ending.outcome], 0, 0)
    if ending.usage is not None:
        # A cost of nothing is one that is not known, unless the price is nothing too.
        cost = ending.cost_nano_usd or ending.prices.cost_nano_usd(
            ending.usage.prompt_tokens, ending.usage.completion_tokens
        )
        return Charge(ending.outcome, 1, ending.usage.total_tokens, max(0, cost))
    return Charge(
        ending.outcome,
        1,
        ending.prompt_tokens + ending.delivered_tokens,
        ending.prices.cost_nano_usd(ending.prompt_tokens, ending.delivered_tokens),
        estimated=True,
    )
