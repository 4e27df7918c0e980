"""What the scripts of admission and settlement are told, and what their replies mean."""

from collections.abc import Sequence
from typing import Any

from scalix.domain.ledger.first_bytes import first_byte_word
from scalix.domain.ledger.ledger import (
    EVENT_FIELDS,
    Balance,
    event_words,
    last_words,
    model_word,
    name_word,
    summed_model,
    sums_of,
)
from scalix.domain.ledger.outcomes import event_of_charge
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import Limits, Metric, Window
from scalix.domain.limits.quota import (
    Admitted,
    Ask,
    Charge,
    CountFirst,
    Decision,
    Finished,
    KeyTallies,
    Outcome,
    Receipt,
    Refused,
    Settled,
    Stale,
    Tallies,
    Tally,
    Verdict,
    shadowed,
)
from scalix.domain.limits.tallying import amounts

LETTER = {Window.MINUTE: "m", Window.HOUR: "h", Window.DAY: "d", Window.MONTH: "M"}
WINDOW = {letter: window for window, letter in LETTER.items()}
POSITION = {metric: metric.place + 1 for metric in Metric}  # in Lua
_KEY_LETTER = {KeyWindow.MINUTE: "km", KeyWindow.BUDGET: "kb", KeyWindow.TOTAL: "kt"}
KEY_WINDOW = {letters: window for window, letters in _KEY_LETTER.items()}
_KEY_ID = 7  # its place in a reservation's text
_NONE = "-"
_PLACES = {one.name: place for place, one in enumerate(EVENT_FIELDS)}

Now = str | int


def admit_args(ask: Ask, now: Now) -> list[str | int]:
    """The arguments of lua/admit.lua."""
    args: list[str | int] = [
        ask.request_id,
        ask.subject,
        now,
        ask.user_version or "",
        ask.lease_ms,
        ask.prompt_tokens,
        ask.output_cap_tokens,
        ask.min_output_tokens,
        ask.choices,
        ask.prices.input_pico_usd_per_token,
        ask.prices.output_pico_usd_per_token,
        ask.prices.request_nano_usd,
        *_concurrency_args(ask.limits),
        ask.tier,
        *_key_args(ask.key),
        int(ask.is_billed),
        int(ask.prepaid),
        name_word(ask.tier),
        model_word(ask.model, among_others=ask.among_others),
        name_word(ask.price_version),
        "" if ask.prompt_cost_nano_usd is None else ask.prompt_cost_nano_usd,
        "" if ask.prompt_charge_nano_usd is None else ask.prompt_charge_nano_usd,
        "" if ask.least_prompt_tokens is None else ask.least_prompt_tokens,
        _later_needs(ask),
    ]
    for limit in ask.limits.windows:
        args += [POSITION[limit.metric], LETTER[limit.window], limit.value, int(limit.enforce)]
    for of_key in ask.key.limits if ask.key else ():
        args += [POSITION[of_key.metric], _KEY_LETTER[of_key.window], of_key.value, 1]
    return args


def settle_args(receipt: Receipt, charge: Charge, now: Now, retention: Retention) -> list[str | int]:
    """The arguments of lua/settle.lua."""
    detail, event = charge.detail, event_of_charge(receipt, charge)
    words, of_a_sweep = event_words(event), list[str]()
    if charge.outcome is Outcome.SWEPT:  # told by a successor: by these a settlement undoes it, as it does a sweep's
        is_billed = int(detail.charge_nano_usd > 0)
        of_a_sweep = [str(int(receipt.tracks_minutes)), str(receipt.budget_start_ms), str(is_billed)]
    key, tier, provider, error = (words[_PLACES[name]] for name in ("key_id", "tier", "provider", "error"))
    model = name_word(summed_model(detail))
    return [
        receipt.request_id,
        receipt.subject,
        now,
        int(receipt.tracks_minutes),
        receipt.budget_start_ms,
        *days_of(retention),
        " ".join([*words, *of_a_sweep, last_words(detail)]),
        receipt.admitted_ms,
        detail.charge_nano_usd,
        detail.cost_nano_usd,
        f"{model} {provider} {tier} {charge.outcome.value} {error}",
        f"{model} {tier} {key}",
        " ".join(map(str, sums_of(event).values())),
        first_byte_word(event),
        *amounts(charge),
    ]


def days_of(retention: Retention) -> tuple[int, int, int]:
    """For how many days events, sums by hour, and sums by day are kept."""
    return (retention.events_days, retention.hours_days, retention.days_days)


def admitted_ms_and_key(reservation: str | None) -> tuple[int, str | None]:
    """What a reservation's text says of its time and its virtual key; 0 where there is none."""
    words = reservation.split(" ") if reservation else ["0"]
    key_id = words[_KEY_ID] if len(words) > _KEY_ID else _NONE
    return int(words[0]), None if key_id == _NONE else key_id


def _later_needs(ask: Ask) -> str:
    needs = ask.later.values()
    return " ".join(map(str, needs)) if any(needs) else ""


def _concurrency_args(limits: Limits) -> tuple[int, int]:
    return (-1 if limits.concurrent is None else limits.concurrent, int(limits.enforce_concurrent))


def _key_args(key: KeyScope | None) -> tuple[str | int, ...]:
    if key is None:
        return ("", "", -1, 0, 0)
    concurrent = -1 if key.concurrent is None else key.concurrent
    return (key.key_id, key.version or "", concurrent, key.budget_anchor_ms, key.budget_period_ms)


def tallies_of(pairs: Sequence[str]) -> Tallies:
    """A subject's windows from fields and texts in turn; those of a key are passed over."""
    return {
        WINDOW[field[0]]: Tally.of_text(text)
        for field, text in zip(pairs[::2], pairs[1::2], strict=True)
        if field[0] != "k"
    }


def key_tallies_of(pairs: Sequence[str]) -> KeyTallies:
    """A key's windows from the same."""
    return {
        KEY_WINDOW[field[:2]]: Tally.of_text(text)
        for field, text in zip(pairs[::2], pairs[1::2], strict=True)
        if field[0] == "k"
    }


def settled_of(reply: Sequence[Any]) -> Settled:
    """What lua/settle.lua has answered."""
    status, balance, *pairs = reply
    return Settled(status, tallies_of(pairs), key_tallies_of(pairs), _balance(balance))


def decision_of(ask: Ask, reply: Sequence[Any]) -> Decision:
    """What lua/admit.lua has answered."""
    status, now_ms, admitted_ms, cap, in_flight, full, verdict_text, minutes, version, which = reply[:10]
    if status == "stale":
        return Stale(version, which)
    if status == "finished":
        return Finished()
    if status == "count":
        return CountFirst(None if cap < 0 else cap)
    key_full, budget_start_ms, balance_verdict, balance, *pairs = reply[10:]
    tallies, key_tallies = tallies_of(pairs), key_tallies_of(pairs)
    found = tuple(map(Verdict, verdict_text))
    verdicts, key_verdicts = found[: len(ask.limits.windows)], found[len(ask.limits.windows) :]
    if status == "refused":
        return Refused(
            now_ms,
            verdicts,
            bool(full),
            tallies,
            in_flight,
            key_verdicts,
            bool(key_full),
            key_tallies,
            Verdict(balance_verdict),
            _balance(balance),
        )
    receipt = Receipt(
        ask.request_id,
        ask.subject,
        admitted_ms,
        ask.prompt_tokens,
        cap,
        bool(minutes),
        ask.key.key_id if ask.key else None,
        budget_start_ms,
    )
    shadow = shadowed(ask.limits, verdicts, bool(full))
    return Admitted(receipt, tallies, in_flight, shadow, key_tallies, _balance(balance))


def _balance(text: str) -> Balance | None:
    """From `nano held`."""
    return Balance(*map(int, text.split(" "))) if text else None
