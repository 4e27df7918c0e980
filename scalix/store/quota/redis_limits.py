"""What is asked of counters in Redis or Valkey beside admission and settlement."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Metric, Window, limit_name
from scalix.domain.limits.quota import ANY_LIMIT, CONCURRENT, ShadowCount, Tallies
from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.connection.store_time import Clock, store_time_ms
from scalix.store.keys import MERGED_LIFETIME_MS, Keys
from scalix.store.quota.quota_wire import LETTER, POSITION, WINDOW, tallies_of
from scalix.store.records.pseudonyms import Pseudonyms

_SHADOW_NAMES = {"c": CONCURRENT, "*": ANY_LIMIT}


class RedisLimitTools:
    """A `LimitTools` and a `MergeStore` over one server or cluster. Without `clock`, time is the server's."""

    def __init__(
        self,
        client: Any,
        keys: Keys,
        *,
        clock: Clock | None = None,
        timeout_ms: int = CALL_TIMEOUT_MS,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._pseudonyms = pseudonyms or Pseudonyms(client, keys, timeout_ms=timeout_ms)

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        now_ms = await self._time_ms()
        fields = [f"{letter}{window_index(window, now_ms)}" for window, letter in LETTER.items()]
        _, pseudonyms_windows = await self._after_erasure(subject)
        async with in_time(self._timeout_ms):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hmget(self._keys.windows(subject), fields)
            pipeline.hmget(pseudonyms_windows, fields)
            pipeline.exists(pseudonyms_windows)
            own, under_pseudonym, moved = await pipeline.execute()
        texts = under_pseudonym if moved else own
        pairs = [part for field, text in zip(fields, texts, strict=True) if text for part in (field, text)]
        return now_ms, tallies_of(pairs)

    async def in_flight(self, subject: str) -> int:
        async with in_time(self._timeout_ms):
            return int(await self._client.hlen(self._keys.in_flight(subject)))

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        args: list[str | int] = [self._now()]
        for metric, window in what:
            args += [POSITION[metric], LETTER[window]]
        keys = self._keys
        names = [keys.windows(subject), *await self._after_erasure(subject), keys.adjustments(subject)]
        async with in_time(self._timeout_ms):
            now_ms, *pairs = await scripts.run(self._client, "reset", names, args)
        return now_ms, tallies_of(pairs)

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        args: list[str | int] = [self._now(), MERGED_LIFETIME_MS]
        for window, tally in tallies.items():
            most = (tally.used(metric) + tally.held(metric) for metric in POSITION)
            args += [f"{LETTER[window]}{window_index(window, read_ms)}", *most]
        keys = self._keys
        names = [keys.windows(subject), keys.merged(subject), *await self._after_erasure(subject)]
        async with in_time(self._timeout_ms):
            return bool(await scripts.run(self._client, "raise_to", [*names, keys.adjustments(subject)], args))

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

    async def _after_erasure(self, subject: str) -> tuple[str, str]:
        """The keys that say that the subject was erased, and hold the windows from before."""
        pseudonym = await self._pseudonyms.of(subject)
        return self._keys.erased(subject, pseudonym), self._keys.pseudonyms_windows(subject, pseudonym)

    def _now(self) -> str | int:
        return "" if self._clock is None else self._clock()

    async def _time_ms(self) -> int:
        return await store_time_ms(self._client, self._clock, self._timeout_ms)


def _shadow_name(short: str) -> str:
    """`requests-hour` for `1h`."""
    if short in _SHADOW_NAMES:
        return _SHADOW_NAMES[short]
    metric = next(metric for metric, position in POSITION.items() if str(position) == short[0])
    return limit_name(metric, WINDOW[short[1]])
