"""Where what is kept of people differs from their events, and how many there were from what is kept of each."""

from collections.abc import Iterable

from scalix.domain.ledger.books import Difference, ShardBooks, SubjectBooks
from scalix.domain.ledger.ledger import Event, name_word
from scalix.domain.ledger.people import (
    AFTER_DAYS,
    BEFORE,
    LATE,
    PEOPLE_DAYS,
    Person,
    counts_on,
    numbers_of,
    numbers_text,
)


def people_differences(shard: str, books: ShardBooks, day: int, *, erased: bool) -> list[Difference]:
    """Where the numbers of a day differ from the people that they are of. Who was erased stays in them."""
    people = [person for name, text in books.people.items() if not name.isdigit() and (person := _person(text))]
    text = books.people.get(str(day), "")
    found, right = numbers_of(text), counts_on(day, people)
    # What somebody did after a limit is kept for a week.
    compared = {
        name for name in {*found, *right} if name != LATE and (name[0] != "h" or books.today <= day + AFTER_DAYS)
    }
    # Of somebody who was there so much later, by a clock that has leapt to and fro, it is no longer known.
    newest = BEFORE if erased else max((person.newest for person in people), default=BEFORE)
    least = {
        name
        for name in compared
        if erased or (newest >= day + PEOPLE_DAYS and name[0] in "ua") or (newest > day + AFTER_DAYS and name[0] == "h")
    }
    numbers = {name: max(right.get(name, 0), found.get(name, 0) if name in least else 0) for name in compared}
    if all(number == found.get(name, 0) for name, number in numbers.items()):
        return []
    return [Difference(shard, "people", str(day), text or None, numbers_text({**found, **numbers}) or None)]


def person_differences(books: SubjectBooks, day: int, events: Iterable[Event]) -> list[Difference]:
    """Where the tiers in which a subject was there on a day are not those of its events."""
    right = sorted({name_word(event.detail.tier) for event in events if event.detail.tier})
    person = _person(books.person) if books.person else Person(day)
    found = person.tiers_on(day) if person else None
    if found == right or (person is not None and person.newest >= day + PEOPLE_DAYS):
        return []
    return [Difference(books.subject, "person", str(day), books.person or None, ",".join(right) or None)]


def _person(text: str) -> Person | None:
    try:
        return Person.of(text)
    except ValueError:
        return None
