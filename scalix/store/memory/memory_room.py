"""Is there room for a request? What every limit, the virtual key and the balance say to it."""

from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import Ask, KeyTallies, Tallies, Tally, Verdict

Needs = dict[Metric, int]
_DEAREST_NANO_USD = 9 * 10**12  # as in lua/admit.lua


def needs_of(ask: Ask) -> Needs:
    """The least that the request can do with."""
    least = ask.choices * ask.min_output_tokens
    return {
        Metric.REQUESTS: 1,
        Metric.TOKENS: ask.prompt_tokens + least,
        Metric.SPEND: ask.prices.cost_nano_usd(ask.prompt_tokens, least),
    }


def most_prompt_tokens(ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None) -> int | None:
    """The longest prompt with which it would not be refused for good; `None`: any."""
    least, found = ask.choices * ask.min_output_tokens, []
    for metric, value, tally in _enforced(ask, tallies, key_tallies, balance):
        left = value - tally.used(metric)
        if metric is Metric.TOKENS:
            found.append(left - least)
        elif metric is Metric.SPEND and ask.prices.input_pico_usd_per_token:
            left_pico = (min(left, _DEAREST_NANO_USD) - ask.prices.request_nano_usd) * 1000
            left_pico -= least * ask.prices.output_pico_usd_per_token
            found.append(left_pico // ask.prices.input_pico_usd_per_token)
    return max(0, min(found)) if found else None


def verdict(metric: Metric, value: int, tally: Tally, needs: Needs) -> Verdict:
    """What one limit says."""
    used, need = tally.used(metric), needs[metric]
    if used + tally.held(metric) + need <= value:
        return Verdict.FITS
    return Verdict.RESERVED if metric is not Metric.REQUESTS and used + need <= value else Verdict.EXHAUSTED


def key_verdicts(scope: KeyScope | None, tallies: KeyTallies, needs: Needs) -> tuple[tuple[Verdict, ...], bool]:
    """What each limit of the key says, and whether it has as many requests in flight as it may."""
    if scope is None:
        return (), False
    verdicts = tuple(verdict(limit.metric, limit.value, tallies[limit.window], needs) for limit in scope.limits)
    return verdicts, scope.concurrent is not None and tallies[KeyWindow.TOTAL].requests_held >= scope.concurrent


def balance_verdict(ask: Ask, balance: Balance | None, needs: Needs) -> Verdict:
    """What the prepaid balance says. `balance` is that of a request that is billed."""
    if balance is None:
        return Verdict.EXHAUSTED if ask.is_billed and ask.prepaid else Verdict.FITS
    need = needs[Metric.SPEND]
    if need <= balance.nano_usd - balance.held_nano_usd:
        return Verdict.FITS
    return Verdict.RESERVED if need <= balance.nano_usd else Verdict.EXHAUSTED


def cap_by_room(ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None) -> int:
    """The longest answer that everything has room for, in tokens per choice."""
    caps = [ask.output_cap_tokens]
    for metric, value, tally in _enforced(ask, tallies, key_tallies, balance):
        room = value - tally.used(metric) - tally.held(metric)
        if metric is Metric.TOKENS:
            caps.append((room - ask.prompt_tokens) // ask.choices)
        elif metric is Metric.SPEND and ask.prices.output_pico_usd_per_token:
            room_pico = (min(room, _DEAREST_NANO_USD) - ask.prices.request_nano_usd) * 1000
            room_pico -= ask.prompt_tokens * ask.prices.input_pico_usd_per_token
            caps.append(room_pico // (ask.choices * ask.prices.output_pico_usd_per_token))
    return min(caps)


def _enforced(
    ask: Ask, tallies: Tallies, key_tallies: KeyTallies, balance: Balance | None
) -> list[tuple[Metric, int, Tally]]:
    limits = [(limit.metric, limit.value, tallies[limit.window]) for limit in ask.limits.windows if limit.enforce]
    limits += [(limit.metric, limit.value, key_tallies[limit.window]) for limit in (ask.key.limits if ask.key else ())]
    if balance is not None:
        limits.append((Metric.SPEND, balance.nano_usd, Tally(nano_usd_held=balance.held_nano_usd)))
    return limits
