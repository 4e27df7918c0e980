"""What is asked of counters in Redis or Valkey beside admission and settlement."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from scalix.domain.ledger.people import Person
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KEY_CONCURRENT, KeyLimit
from scalix.domain.limits.limits import CONCURRENT, Metric, Window, amounts_text, limit_name
from scalix.domain.limits.quota import ANY_LIMIT, ShadowCount, Tallies, Tally
from scalix.store.keys import MERGED_LIFETIME_MS
from scalix.store.quota.quota_wire import KEY_WINDOW, LETTER, POSITION, WINDOW, tallies_of
from scalix.store.records.pseudonyms import SubjectStore

_NAMES = {"c": CONCURRENT, "*": ANY_LIMIT, "kc": KEY_CONCURRENT, "b": "balance"}


class Glance(NamedTuple):
    """A subject's use today, and the day (index) on which it was there last; `None` where nobody has noted it."""

    today: Tally
    last_day: int | None


class LimitTools(SubjectStore):
    """What operators ask of counters. Every method may raise `StoreUnavailable`."""

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        """The store's time (ms) and the subject's windows of that moment."""
        now_ms = await self._session.time_ms()
        fields = [f"{letter}{window_index(window, now_ms)}" for window, letter in LETTER.items()]
        _, pseudonyms_windows = await self._after_erasure(subject)
        batch = self._session.batch()
        batch.hmget(self._keys.windows(subject), fields)
        batch.hmget(pseudonyms_windows, fields)
        batch.exists(pseudonyms_windows)
        own, under_pseudonym, moved = await batch.execute()
        texts = under_pseudonym if moved else own
        pairs = [part for field, text in zip(fields, texts, strict=True) if text for part in (field, text)]
        return now_ms, tallies_of(pairs)

    async def glances(self, subjects: Sequence[str]) -> list[Glance]:
        """What a list shows of each, read together: four words of each, however much there is of it."""
        today = f"{LETTER[Window.DAY]}{window_index(Window.DAY, await self._session.time_ms())}"
        batch = self._session.batch()
        for subject in subjects:
            _, pseudonyms_windows = await self._after_erasure(subject)
            batch.hget(self._keys.windows(subject), today)
            batch.hget(pseudonyms_windows, today)
            batch.exists(pseudonyms_windows)
            batch.hget(self._keys.people(subject), subject)
        found = await batch.execute()
        return [_glance(*found[begin : begin + 4]) for begin in range(0, len(found), 4)]

    async def in_flight(self, subject: str) -> int:
        """How many of the subject's requests are in flight."""
        return int(await self._session.hlen(self._keys.in_flight(subject)))

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        """Set the settled use of these metrics in these windows of now to zero, at once; what requests in flight hold
        stays. Returns the store's time (ms) and the windows as they were before."""
        args: list[str | int] = [self._session.now()]
        for metric, window in what:
            args += [POSITION[metric], LETTER[window]]
        keys = self._keys
        names = [keys.windows(subject), *await self._after_erasure(subject), keys.adjustments(subject)]
        now_ms, *pairs = await self._session.run("reset", names, args)
        return now_ms, tallies_of(pairs)

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        """Raise the subject's settled use to the use and holdings in `tallies`, read at `read_ms`, where they are more
        and their window has not ended. Once for each subject: `False` if it was done before; then nothing changes."""
        args: list[str | int] = [self._session.now(), MERGED_LIFETIME_MS]
        for window, tally in tallies.items():
            most = tuple(tally.used(metric) + tally.held(metric) for metric in Metric)
            args += [f"{LETTER[window]}{window_index(window, read_ms)}", amounts_text(most)]
        keys = self._keys
        names = [keys.windows(subject), keys.merged(subject), *await self._after_erasure(subject)]
        return bool(await self._session.run("raise_to", [*names, keys.adjustments(subject)], args))

    async def all_in_flight(self) -> int:
        """Requests in flight at all gateways, those of workers that died and are not swept yet among them."""
        return sum(await self._session.each("ZCARD", self._keys.all_leases()))

    async def shadow_counts(self, days: int) -> list[ShadowCount]:
        """What limits that are not enforced would have refused, today and the days before, `days` in all."""
        today = window_index(Window.DAY, await self._session.time_ms())
        sums: Counter[tuple[int, str, str]] = Counter()
        for fields in await self._session.each("HGETALL", self._keys.all_shadows()):
            for field, requests in fields.items():
                day, limit, tier = field.split(" ", 2)
                sums[int(day), tier, limit_of_word(limit)] += int(requests)
        return [ShadowCount(*key, requests) for key, requests in sums.items() if key[0] > today - days]


def _glance(own: str | None, under_pseudonym: str | None, moved: int, person: str | None) -> Glance:
    text = under_pseudonym if moved else own
    return Glance(Tally.of_text(text) if text else Tally(), Person.of(person).newest if person else None)


def limit_of_word(word: str) -> str:
    """`requests-hour` for `1h`, as scripts name limits."""
    if word in _NAMES:
        return _NAMES[word]
    metric, letters = tuple(Metric)[int(word[0]) - 1], word[1:]
    if letters in KEY_WINDOW:
        return KeyLimit(metric, KEY_WINDOW[letters], 0).name
    return limit_name(metric, WINDOW[letters])


WORD_OF_LIMIT = {
    limit_of_word(word): word
    for word in (*_NAMES, *(f"{place}{letters}" for place in POSITION.values() for letters in (*WINDOW, *KEY_WINDOW)))
}
"""How scripts name each limit."""
