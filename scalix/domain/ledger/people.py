"""Who was there on which day, in which tier, and who ran into which limit; and what that counts for.

The same as lua/people.lua, whose header says what the texts are. Names are words of the store here (`name_word`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

PEOPLE_DAYS = 36
COHORT_DAYS = 28
AFTER_DAYS = 7
LATE = "late"
BEFORE = 0
"""The first day of who was there before anybody noted it."""
LEFT, BACK = "-", "+"

Counts = Counter[tuple[int, str]]
"""How many: by day and name."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A subject in one tier: the first day of all, and the days of late."""

    first: int
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Person:
    """One subject. `newest` is the latest day that is noted; `hits` are (day, limit) with the tier of then."""

    newest: int
    tiers: Mapping[str, Stay] = field(default_factory=dict)
    hits: Mapping[tuple[int, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Person":
        """The subject with this text. Raises `ValueError` for a text that is none."""
        newest, *words = text.split(" ")
        tiers: dict[str, Stay] = {}
        hits: dict[tuple[int, str], str] = {}
        for word in words:
            name, second, third = word.split(",")
            if name.startswith("!"):
                hits[int(name[1:]), second] = third
            else:
                there = frozenset(int(newest) - place for place, sign in enumerate(third) if sign == "1")
                tiers[name] = Stay(int(second), there)
        return cls(int(newest), tiers, hits)

    @property
    def text(self) -> str:
        """As the store has it."""
        words = [str(self.newest)]
        for name, stay in self.tiers.items():
            signs = ("1" if self.newest - place in stay.days else "0" for place in range(PEOPLE_DAYS))
            words.append(f"{name},{stay.first},{''.join(signs).rstrip('0')}")
        words += [f"!{day},{limit},{tier}" for (day, limit), tier in self.hits.items()]
        return " ".join(words)

    def tiers_on(self, day: int) -> list[str]:
        """The tiers that they were in on a day of late."""
        return sorted(name for name, stay in self.tiers.items() if day in stay.days)

    def counts(self, only: int | None = None) -> Counts:
        """What they count for; of the days on which they were there, `only` one may be asked for."""
        counts: Counts = Counter()
        for name, stay in self.tiers.items():
            for day in stay.days if only is None else stay.days & {only}:
                counts[day, f"a,{name}"] += 1
                counts[day, "u"] = 1
        self._count_tiers(counts)
        for (day, limit), tier in self.hits.items():
            counts[day, f"h,{limit},{self.since(day, tier)}"] += 1
        return counts

    def _count_tiers(self, counts: Counts) -> None:
        origin = min((stay.first for stay in self.tiers.values()), default=BEFORE)
        if origin > BEFORE:
            counts[origin, "n"] += 1
        for name, stay in self.tiers.items():
            if stay.first != origin:
                continue
            if origin > BEFORE:
                counts[origin, f"n,{name}"] += 1
            other = min((its.first for another, its in self.tiers.items() if another != name), default=BEFORE)
            if other > BEFORE:
                counts[other, f"x,{name}"] += 1
                if origin > BEFORE and other - origin <= COHORT_DAYS:
                    counts[origin, f"c,{name},{other - origin}"] += 1

    def since(self, day: int, tier: str) -> str:
        """What they have done in the week from a day on which they ran into a limit in a tier: the tier in which they
        were for the first time, else `BACK`, else `LEFT`."""
        new = [
            (stay.first, name)
            for name, stay in self.tiers.items()
            if name != tier and day <= stay.first <= day + AFTER_DAYS
        ]
        if new:
            return min(new)[1]
        came_back = any(day < one <= day + AFTER_DAYS for stay in self.tiers.values() for one in stay.days)
        return BACK if came_back else LEFT


def counts_on(day: int, people: Iterable[Person]) -> dict[str, int]:
    """What many count for on a day."""
    total = Counter[str]()
    for person in people:
        total.update({name: number for (of_day, name), number in person.counts(day).items() if of_day == day})
    return dict(total)


def after_days(stays: Mapping[str, AbstractSet[int]], before: Person | None, kept_from: int) -> Person:
    """The subject with all the days on which they were in each tier, as far as those are known from `kept_from` on;
    from `before` is what happened earlier, and into which limits they ran."""
    tiers: dict[str, Stay] = {}
    newest = max([day for days in stays.values() for day in days], default=0)
    hits = dict(before.hits) if before else {}
    newest = max(newest, *(day for day, _ in hits), 0)
    for name in stays.keys() | (before.tiers.keys() if before else set()):
        old = before.tiers.get(name) if before else None
        first = min(stays.get(name, ()), default=None)
        if old is not None and BEFORE < old.first < kept_from:
            first = old.first
        if first is not None:
            late = frozenset(day for day in stays.get(name, ()) if day > newest - PEOPLE_DAYS)
            tiers[name] = Stay(first, late)
    return Person(newest, tiers, hits)


def numbers_of(text: str) -> dict[str, int]:
    """The numbers of a day: `u=3 a,free=2`."""
    return {name: int(number) for name, _, number in (word.rpartition("=") for word in text.split())}


def numbers_text(numbers: Mapping[str, int]) -> str:
    """The opposite; what is zero is left out."""
    return " ".join(f"{name}={number}" for name, number in sorted(numbers.items()) if number)


@dataclass(frozen=True, slots=True)
class AfterHits:
    """Of those whom a limit refused on one day: how many, and what they have done in the week from then on."""

    users: int
    upgraded: int
    came_back: int


def hits_in(text: str, limit: str) -> int:
    """How many a limit has refused, by the numbers of a day."""
    start = f"h,{limit},"
    return sum(number for name, number in numbers_of(text).items() if name.startswith(start))


def after_hits(numbers: Mapping[str, int], free: str) -> dict[str, AfterHits]:
    """By limit, for the numbers of a day; `free` is the word of the free tier. To go there is no upgrade."""
    found: dict[str, Counter[str]] = {}
    for name, number in numbers.items():
        kind, *rest = name.split(",")
        if kind == "h":
            limit, since = rest
            found.setdefault(limit, Counter())[since] += number
    return {
        limit: AfterHits(
            users=since.total(),
            upgraded=sum(number for name, number in since.items() if name not in (LEFT, BACK, free)),
            came_back=since[BACK] + since[free],
        )
        for limit, since in found.items()
    }
