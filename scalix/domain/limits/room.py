"""Is there room for a request? What every limit, the virtual key and the balance say to it.

The store decides by `lua/admit.lua`; this is the same rule for whoever counts without one.
"""

from dataclasses import replace

from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import Amounts, Metric
from scalix.domain.limits.quota import (
    Admitted,
    Ask,
    CountFirst,
    KeyTallies,
    Receipt,
    Refused,
    Tallies,
    Tally,
    Verdict,
    shadowed,
)

_DEAREST_NANO_USD = 9 * 10**12  # as in lua/admit.lua


def judged(
    ask: Ask,
    receipt: Receipt,
    tallies: Tallies,
    key_tallies: KeyTallies,
    *,
    in_flight: int,
    balance: Balance | None = None,
) -> Admitted | Refused | CountFirst:
    """What all limits say to `ask`, by the tallies before it. `receipt` is that of the request, which comes back in
    `Admitted` with the longest answer that there is room for. Nothing is reserved."""
    room = _cap_by_room(ask, tallies, key_tallies, balance)

    def said_to(ask: Ask) -> Admitted | Refused:
        needs = ask.needs(ask.prompt_tokens, ask.choices * ask.min_output_tokens)
        windows = ask.limits.windows
        verdicts = tuple(_verdict(limit.metric, limit.value, tallies[limit.window], needs) for limit in windows)
        of_key, key_full = _key_verdicts(ask.key, key_tallies, needs)
        of_balance = _balance_verdict(ask, balance, needs)
        full = ask.limits.concurrent is not None and in_flight >= ask.limits.concurrent
        enforced = [said for limit, said in zip(windows, verdicts, strict=True) if limit.enforce]
        no_room = any(said is not Verdict.FITS for said in (*enforced, *of_key, of_balance))
        if no_room or key_full or (full and ask.limits.enforce_concurrent):
            now_ms = receipt.admitted_ms
            return Refused(
                now_ms, verdicts, full, tallies, in_flight, of_key, key_full, key_tallies, of_balance, balance
            )
        capped = replace(receipt, output_cap_tokens=room)
        return Admitted(capped, tallies, in_flight, shadowed(ask.limits, verdicts, full))

    said = said_to(ask)
    if ask.least_prompt_tokens is not None:
        # The prompt may be smaller than that. What is certain is refused; what is not is counted first.
        certain = said_to(replace(ask, prompt_tokens=ask.least_prompt_tokens))
        if isinstance(certain, Refused):
            return certain
        if isinstance(said, Refused) or room < ask.output_cap_tokens or said.shadow != certain.shadow:
            return CountFirst(_most_prompt_tokens(ask, tallies, key_tallies, balance))
    return said


def _most_prompt_tokens(ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None) -> int | None:
    """The longest prompt with which it would not be refused for good; `None`: any."""
    limits = _enforced(ask, tallies, key_tallies, balance)
    left = [(metric, value - tally.used(metric)) for metric, value, tally in limits]
    answer = ask.choices * ask.min_output_tokens, ask.prices.output_pico_usd_per_token
    found = _tokens_within(ask, left, answer, 1, ask.prices.input_pico_usd_per_token)
    return max(0, min(found)) if found else None


def _tokens_within(
    ask: Ask, left: list[tuple[Metric, int]], beside: tuple[int, int], times: int, pico_usd_per_token: int
) -> list[int]:
    """How many tokens of one part, which counts so many `times`, each of what is left has room for. `beside` are the
    tokens of the other part, and the price of each."""
    found = []
    for metric, amount in left:
        if metric is Metric.TOKENS:
            found.append((amount - beside[0]) // times)
        elif metric is Metric.SPEND and pico_usd_per_token:
            left_pico = (min(amount, _DEAREST_NANO_USD) - ask.prices.request_nano_usd) * 1000 - beside[0] * beside[1]
            found.append(left_pico // (times * pico_usd_per_token))
    return found


def _verdict(metric: Metric, value: int, tally: Tally, needs: Amounts) -> Verdict:
    """What one limit says."""
    used, need = tally.used(metric), needs[metric.place]
    if (metric.unit.may_be_none and not need) or used + tally.held(metric) + need <= value:
        return Verdict.FITS
    return Verdict.RESERVED if not metric.unit.is_exact and used + need <= value else Verdict.EXHAUSTED


def _key_verdicts(scope: KeyScope | None, tallies: KeyTallies, needs: Amounts) -> tuple[tuple[Verdict, ...], bool]:
    """What each limit of the key says, and whether it has as many requests in flight as it may."""
    if scope is None:
        return (), False
    verdicts = tuple(_verdict(limit.metric, limit.value, tallies[limit.window], needs) for limit in scope.limits)
    return verdicts, scope.concurrent is not None and tallies[KeyWindow.TOTAL].requests_held >= scope.concurrent


def _balance_verdict(ask: Ask, balance: Balance | None, needs: Amounts) -> Verdict:
    """What the prepaid balance says. `balance` is that of a request that is billed."""
    if balance is None:
        return Verdict.EXHAUSTED if ask.is_billed and ask.prepaid else Verdict.FITS
    need = needs[Metric.SPEND.place]
    if need <= balance.nano_usd - balance.held_nano_usd:
        return Verdict.FITS
    return Verdict.RESERVED if need <= balance.nano_usd else Verdict.EXHAUSTED


def _cap_by_room(ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None) -> int:
    """The longest answer that everything has room for, in tokens per choice."""
    limits = _enforced(ask, tallies, key_tallies, balance)
    room = [(metric, value - tally.used(metric) - tally.held(metric)) for metric, value, tally in limits]
    prompt = ask.prompt_tokens, ask.prices.input_pico_usd_per_token
    caps = _tokens_within(ask, room, prompt, ask.choices, ask.prices.output_pico_usd_per_token)
    return max(ask.min_output_tokens, min([ask.output_cap_tokens, *caps]))


def _enforced(
    ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None
) -> list[tuple[Metric, int, Tally]]:
    limits = [(limit.metric, limit.value, tallies[limit.window]) for limit in ask.limits.windows if limit.enforce]
    limits += [(limit.metric, limit.value, key_tallies[limit.window]) for limit in (ask.key.limits if ask.key else ())]
    if balance is not None:
        limits.append((Metric.SPEND, balance.nano_usd, Tally(nano_usd_held=balance.held_nano_usd)))
    return limits
