"""Reservations and charges in Redis or Valkey: one Lua script and one round trip for each operation."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from scalix.domain.calendar import window_index
from scalix.domain.key_limits import KeyScope, KeyWindow
from scalix.domain.limits import Limits, Metric, Window, limit_name
from scalix.domain.quota import (
    ANY_LIMIT,
    CONCURRENT,
    Admitted,
    Ask,
    Charge,
    Decision,
    Finished,
    KeyTallies,
    Receipt,
    Refused,
    Settled,
    ShadowCount,
    Stale,
    Tallies,
    Tally,
    Verdict,
    shadowed,
)
from scalix.store import scripts
from scalix.store.base import StoreUnavailable
from scalix.store.keys import EVENT_LIFETIME_MS, MERGED_LIFETIME_MS, TOMBSTONE_LIFETIME_MS, Keys
from scalix.store.redis_client import CALL_TIMEOUT_MS, in_time

_LETTER = {Window.MINUTE: "m", Window.HOUR: "h", Window.DAY: "d", Window.MONTH: "M"}
_WINDOW = {letter: window for window, letter in _LETTER.items()}
_KEY_LETTER = {KeyWindow.MINUTE: "km", KeyWindow.BUDGET: "kb", KeyWindow.TOTAL: "kt"}
_KEY_WINDOW = {letters: window for window, letters in _KEY_LETTER.items()}
_POSITION = {Metric.REQUESTS: 1, Metric.TOKENS: 2, Metric.SPEND: 3}
_SHADOW_NAMES = {"c": CONCURRENT, "*": ANY_LIMIT}
_SWEEP_BATCH = 200
_KEY_ID = 7  # its place in a reservation's text
_MOST_SWEEP_FAULTS = 10
_DAY_MS = 86_400_000

Clock = Callable[[], int]


class RedisQuotaStore:
    """A `QuotaStore` over one server or cluster. Without `clock`, time is the server's."""

    def __init__(
        self, client: Any, keys: Keys, *, clock: Clock | None = None, timeout_ms: int = CALL_TIMEOUT_MS
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._timeout_ms = timeout_ms

    async def admit(self, ask: Ask) -> Decision:
        keys = self._keys
        names = [
            keys.windows(ask.subject),
            keys.in_flight(ask.subject),
            keys.leases(ask.subject),
            keys.record(ask.subject),
            keys.tombstone(ask.subject, ask.request_id),
            keys.shadow(ask.subject),
            *self._key_names(ask.subject, ask.key.key_id if ask.key else None),
        ]
        async with in_time(self._timeout_ms):
            reply = await scripts.run(self._client, "admit", names, self._admit_args(ask))
        return _decision(ask, reply)

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        args: list[str | int] = [
            receipt.request_id,
            receipt.subject,
            self._now(),
            receipt.admitted_ms,
            int(receipt.tracks_minutes),
            charge.requests,
            charge.tokens,
            charge.nano_usd,
            charge.outcome.value,
            int(charge.estimated),
            EVENT_LIFETIME_MS,
            receipt.key_id or "",
            receipt.budget_start_ms,
        ]
        names = self._settle_keys(receipt.subject, receipt.admitted_ms, receipt.key_id)
        async with in_time(self._timeout_ms):
            reply = await scripts.run(self._client, "settle", names, args)
        return Settled(reply[0], _tallies(reply[1:]))

    async def release(self, request_id: str, subject: str, key_id: str | None = None) -> bool:
        # Only names the days in which a sweep may have charged this request: our own clock is good enough.
        now_ms = time.time_ns() // 1_000_000 if self._clock is None else self._clock()
        names = [
            self._keys.windows(subject),
            self._keys.in_flight(subject),
            self._keys.leases(subject),
            self._keys.tombstone(subject, request_id),
            self._keys.events(subject, now_ms),
            self._keys.events(subject, now_ms - _DAY_MS),
            *self._key_names(subject, key_id),
        ]
        async with in_time(self._timeout_ms):
            args = [request_id, subject, self._now(), TOMBSTONE_LIFETIME_MS]
            return bool(await scripts.run(self._client, "release", names, args))

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        members: defaultdict[str, list[str]] = defaultdict(list)
        for receipt in receipts:
            members[self._keys.leases(receipt.subject)].append(f"{receipt.request_id} {receipt.subject}")
        async with in_time(self._timeout_ms):
            await asyncio.gather(
                *(
                    scripts.run(self._client, "renew", [index], [self._now(), lease_ms, *some])
                    for index, some in members.items()
                )
            )

    async def sweep(self) -> int:
        now_ms = await self._time_ms()
        async with in_time(self._timeout_ms):
            pipeline = self._client.pipeline(transaction=False)
            for index in self._keys.all_leases():
                pipeline.zrangebyscore(index, "-inf", now_ms, start=0, num=_SWEEP_BATCH)
            lapsed = [member for members in await pipeline.execute() for member in members]
        swept, faults = 0, []
        for member in lapsed:
            try:
                swept += await self._sweep_one(member)
            except StoreUnavailable as fault:
                # One entry that can't be read must not keep the others from their sweep.
                faults.append(fault)
                if len(faults) > _MOST_SWEEP_FAULTS:
                    break
        if faults and not swept:
            raise faults[0]
        return swept

    async def _sweep_one(self, member: str) -> int:
        request_id, _, subject = member.partition(" ")
        async with in_time(self._timeout_ms):
            reservation = await self._client.hget(self._keys.in_flight(subject), request_id)
            words = reservation.split(" ") if reservation else ["0"]
            admitted_ms, key_id = int(words[0]), words[_KEY_ID] if len(words) > _KEY_ID else ""
            args = [request_id, subject, self._now(), EVENT_LIFETIME_MS, admitted_ms, key_id]
            names = self._settle_keys(subject, admitted_ms, key_id or None)
            return int(await scripts.run(self._client, "sweep", names, args))

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        now_ms = await self._time_ms()
        fields = [f"{letter}{window_index(window, now_ms)}" for window, letter in _LETTER.items()]
        async with in_time(self._timeout_ms):
            texts = await self._client.hmget(self._keys.windows(subject), fields)
        pairs = [part for field, text in zip(fields, texts, strict=True) if text for part in (field, text)]
        return now_ms, _tallies(pairs)

    async def in_flight(self, subject: str) -> int:
        async with in_time(self._timeout_ms):
            return int(await self._client.hlen(self._keys.in_flight(subject)))

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        args: list[str | int] = [self._now()]
        for metric, window in what:
            args += [_POSITION[metric], _LETTER[window]]
        async with in_time(self._timeout_ms):
            now_ms, *pairs = await scripts.run(self._client, "reset", [self._keys.windows(subject)], args)
        return now_ms, _tallies(pairs)

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        args: list[str | int] = [self._now(), MERGED_LIFETIME_MS]
        for window, tally in tallies.items():
            most = (tally.used(metric) + tally.held(metric) for metric in _POSITION)
            args += [f"{_LETTER[window]}{window_index(window, read_ms)}", *most]
        names = [self._keys.windows(subject), self._keys.merged(subject)]
        async with in_time(self._timeout_ms):
            return bool(await scripts.run(self._client, "raise_to", names, args))

    async def shadow_counts(self, days: int) -> list[ShadowCount]:
        today = window_index(Window.DAY, await self._time_ms())
        async with in_time(self._timeout_ms):
            pipeline = self._client.pipeline(transaction=False)
            for key in self._keys.all_shadows():
                pipeline.hgetall(key)
            shards = await pipeline.execute()
        sums: Counter[tuple[int, str, str]] = Counter()
        for fields in shards:
            for field, requests in fields.items():
                day, limit, tier = field.split(" ", 2)
                sums[int(day), tier, _shadow_name(limit)] += int(requests)
        return [ShadowCount(*key, requests) for key, requests in sums.items() if key[0] > today - days]

    def _key_names(self, subject: str, key_id: str | None) -> list[str]:
        if key_id is None:
            return []
        return [self._keys.key_windows(subject, key_id), self._keys.key_record(subject, key_id)]

    def _settle_keys(self, subject: str, admitted_ms: int, key_id: str | None) -> list[str]:
        keys = self._keys
        return [
            keys.windows(subject),
            keys.in_flight(subject),
            keys.leases(subject),
            keys.events(subject, admitted_ms),
            *self._key_names(subject, key_id),
        ]

    def _admit_args(self, ask: Ask) -> list[str | int]:
        args: list[str | int] = [
            ask.request_id,
            ask.subject,
            self._now(),
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
        ]
        for limit in ask.limits.windows:
            args += [_POSITION[limit.metric], _LETTER[limit.window], limit.value, int(limit.enforce)]
        for of_key in ask.key.limits if ask.key else ():
            args += [_POSITION[of_key.metric], _KEY_LETTER[of_key.window], of_key.value, 1]
        return args

    def _now(self) -> str | int:
        return "" if self._clock is None else self._clock()

    async def _time_ms(self) -> int:
        if self._clock is not None:
            return self._clock()
        async with in_time(self._timeout_ms):
            seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


def _concurrency_args(limits: Limits) -> tuple[int, int]:
    return (-1 if limits.concurrent is None else limits.concurrent, int(limits.enforce_concurrent))


def _key_args(key: KeyScope | None) -> tuple[str | int, ...]:
    if key is None:
        return ("", "", -1, 0, 0)
    concurrent = -1 if key.concurrent is None else key.concurrent
    return (key.key_id, key.version or "", concurrent, key.budget_anchor_ms, key.budget_period_ms)


def _shadow_name(short: str) -> str:
    """`requests-hour` for `1h`."""
    if short in _SHADOW_NAMES:
        return _SHADOW_NAMES[short]
    metric = next(metric for metric, position in _POSITION.items() if str(position) == short[0])
    return limit_name(metric, _WINDOW[short[1]])


def _tallies(pairs: Sequence[str]) -> Tallies:
    return {
        _WINDOW[field[0]]: Tally(*map(int, text.split(" ")))
        for field, text in zip(pairs[::2], pairs[1::2], strict=True)
        if field[0] != "k"
    }


def _key_tallies(pairs: Sequence[str]) -> KeyTallies:
    return {
        _KEY_WINDOW[field[:2]]: Tally(*map(int, text.split(" ")))
        for field, text in zip(pairs[::2], pairs[1::2], strict=True)
        if field[0] == "k"
    }


def _decision(ask: Ask, reply: Sequence[Any]) -> Decision:
    status, now_ms, admitted_ms, cap, in_flight, full, verdict_text, minutes, version, which = reply[:10]
    if status == "stale":
        return Stale(version, which)
    if status == "finished":
        return Finished()
    key_full, budget_start_ms, *pairs = reply[10:]
    tallies, key_tallies = _tallies(pairs), _key_tallies(pairs)
    found = tuple(map(Verdict, verdict_text))
    verdicts, key_verdicts = found[: len(ask.limits.windows)], found[len(ask.limits.windows) :]
    if status == "refused":
        return Refused(now_ms, verdicts, bool(full), tallies, in_flight, key_verdicts, bool(key_full), key_tallies)
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
    return Admitted(receipt, tallies, in_flight, shadowed(ask.limits, verdicts, bool(full)), key_tallies)
