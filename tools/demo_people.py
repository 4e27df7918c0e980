"""The people of `make demo-data`: who comes when, and becomes what. Random, and the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from scalix.domain.limits.calendar import DAY_MS, HOUR_MS

DAYS = 30
# Of the hours of a day in UTC, how much is done; of the days of a week (Monday first).
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 12, 10, 11, 13, 14, 13, 11, 9, 9, 10, 9, 6, 4)
_WEEK = (1.0, 1.05, 1.1, 1.05, 0.95, 0.55, 0.5)
_FIRST = (
    *(
        "ada",
        "amir",
        "anna",
        "ben",
        "carla",
        "chen",
        "chiara",
        "david",
        "elif",
        "emil",
        "emma",
        "farah",
        "felix",
        "grace",
    ),
    *("hana", "hugo", "ida", "ines", "ivan", "jana", "jonas", "julia", "kai", "karim", "lara", "leo", "lina", "luca"),
    *("maja", "malik", "maria", "mei", "mia", "nadia", "nils", "noah", "nora", "olga", "oscar", "paula", "pedro"),
    *("priya", "rafael", "ravi", "rosa", "sara", "sofia", "tariq", "theo", "tomas", "vera", "yara", "yuki", "zoe"),
)
_LAST = (
    *("almeida", "andersen", "bauer", "becker", "costa", "dubois", "eriksson", "fischer", "garcia", "haddad", "hansen"),
    *("ito", "ivanova", "jensen", "kaya", "keller", "khan", "kim", "kowalski", "larsen", "lehmann", "lopez", "martin"),
    *("meyer", "moreau", "nakamura", "novak", "okafor", "olsen", "patel", "petrov", "reyes", "ricci", "rossi", "sato"),
    *("schmidt", "silva", "singh", "suzuki", "torres", "tran", "vogel", "wagner", "wang", "weber", "yilmaz", "zhang"),
)
_PLACES = ("example.com", "example.org", "example.net")


@dataclass(frozen=True, slots=True)
class Habit:
    """How often somebody comes on a day of the week, how many requests they make then, and how soon they leave."""

    comes: float
    requests: float
    leaves: float


_CASUAL, _REGULAR, _HEAVY = Habit(0.30, 2.5, 0.07), Habit(0.55, 5, 0.015), Habit(0.85, 13, 0.004)


@dataclass(slots=True)
class Somebody:
    """One user: `joins` is the day of the month on which they come for the first time."""

    user_id: str
    random: Random
    joins: int
    habit: Habit
    place: int  # among the tiers
    heart: float = 1.0  # how much they ask for, compared with others of their habit

    def requests_of(self, day: int, first_day: int) -> list[int]:
        """When they ask on a day of the month, in ms since 1970."""
        random = self.random
        at_ms = (first_day + day) * DAY_MS
        weekday = datetime.fromtimestamp(at_ms / 1000, UTC).weekday()
        if day != self.joins and random.random() > self.habit.comes * _WEEK[weekday]:
            return []
        more = (1.0, 1.7, 1.5)[min(self.place, 2)]
        number = 1 + int(random.expovariate(1 / (self.habit.requests * self.heart * more)))
        times: list[int] = []
        while len(times) < number:
            hour = random.choices(range(24), _HOURS)[0]
            moment = at_ms + hour * HOUR_MS + random.randrange(HOUR_MS)
            for _ in range(random.randint(2, 9)):
                times.append(moment)
                moment += random.randint(15_000, 240_000)
        return sorted(time for time in times[:number] if time < at_ms + DAY_MS)

    def leaves_for_good(self, was_refused: bool) -> bool:
        """Whether this was their last day."""
        return self.random.random() < self.habit.leaves + 0.08 * was_refused

    def upgrades(self, was_refused: bool) -> bool:
        """Whether they go on in the next tier, once they have been refused on the day or not."""
        chance = (0.055, 0.02, 0.0) if was_refused else (0.002, 0.002, 0.0)
        return self.random.random() < chance[min(self.place, 2)] * (2 if self.habit is _HEAVY else 1)

    def downgrades(self) -> bool:
        """Whether they go back to the tier before."""
        return self.place > 0 and self.random.random() < 0.003


def everybody(number: int, seed: int) -> Iterator[Somebody]:
    """So many users, more of them each week."""
    chooser = Random(f"{seed} everybody")
    names = [f"{first}.{last}" for first in _FIRST for last in _LAST]
    chooser.shuffle(names)
    for index in range(number):
        name = names[index % len(names)] + ("" if index < len(names) else str(index // len(names) + 1))
        random = Random(f"{seed} {index}")
        habit = random.choices((_CASUAL, _REGULAR, _HEAVY), (58, 33, 9))[0]
        place = random.choices((0, 1, 2), (94, 5, 1))[0]
        # A few more on each day than on the one before.
        joins = int(DAYS * max(random.random(), random.random() if random.random() < 0.3 else 0.0))
        user_id = f"{name}@{_PLACES[index % len(_PLACES)]}"
        yield Somebody(user_id, random, joins, habit, place, heart=random.lognormvariate(0, 0.6))
