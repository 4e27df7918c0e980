"""What the events of a day make of every counter and sum that is kept beside them, and where those differ.

Fields and texts here are those of the store: a window's is "h491234" -> its numbers, a sum's "20780 gpt-4 free -" ->
the figures of `Sums`. The events are the truth.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from scalix.domain.ledger.books import ALL_PARTS, Difference, Part, ShardBooks, SubjectBooks, Texts
from scalix.domain.ledger.first_bytes import first_byte_word
from scalix.domain.ledger.ledger import (
    IN_TIME_SINCE,
    PEOPLE_SINCE,
    READ_WHOLE,
    Event,
    Sums,
    event_of,
    name_word,
    summed_model,
    sums_of,
)
from scalix.domain.ledger.people import PEOPLE_DAYS
from scalix.domain.ledger.people_check import people_differences, person_differences
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS, window_end_ms, window_index
from scalix.domain.limits.limits import Amounts, Metric, Window
from scalix.domain.limits.quota import Tally
from scalix.domain.limits.tallying import NOTHING, amounts, plus


def kept_parts(day: int, today: int, retention: Retention) -> frozenset[Part]:
    """What is still there of a day: sums may be kept for less long than events."""
    gone: set[Part] = set()
    if today > day + retention.hours_days:
        gone |= {"hours", "tokens", "cost", "first_bytes"}
    if today >= day + PEOPLE_DAYS or today > day + retention.days_days:
        gone |= {"person", "people"}
    if today >= window_end_ms(Window.MONTH, window_index(Window.MONTH, day * DAY_MS)) // DAY_MS + retention.days_days:
        gone |= {"days", "summaries"}
    return ALL_PARTS - gone


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """The events of one subject and day as far as they can be read, and what is wrong with the others."""

    events: tuple[Event, ...]
    faults: tuple[Difference, ...]


def read_events(subject: str, day: int, texts: Texts) -> ReadEvents:
    """Every text as an event. One that is none, or lies in another day than its key says, is a fault."""
    events, faults = [], []
    for request_id, text in texts.items():
        try:
            event = event_of(request_id, subject, text)
        except ValueError:
            faults.append(Difference(subject, None, request_id, text, None, "the event can't be read"))
            continue
        events.append(event)
        if event.admitted_ms // DAY_MS != day:
            faults.append(Difference(subject, None, request_id, text, None, "the event is of another day"))
    return ReadEvents(tuple(events), tuple(faults))


def subject_differences(
    books: SubjectBooks, day: int, events: Sequence[Event], parts: AbstractSet[Part] = ALL_PARTS
) -> list[Difference]:
    """Where the windows and summaries of a subject differ from its events of `day`.

    Windows are compared as long as they are surely whole: the current one and the one before it. The month is compared
    with the summaries as the events of `day` make them.
    """
    right = summaries_of(events)
    found = {name: text for name, text in books.summaries.items() if name.split(" ", 1)[0] == str(day)}
    differences = _unequal(books.subject, "summaries", found, right) if "summaries" in parts else []
    if "person" in parts and _all_counted(events):
        differences += person_differences(books, day, events)
    if "events_in_time" in parts:
        differences += _unequal(books.subject, "events_in_time", books.events_in_time, _subject_index(books, events))
    if books.under_pseudonym:
        return differences
    whole = {name: text for name, text in books.summaries.items() if name not in found} | right
    expected = _day_windows(events, day) | _month_window(whole, day)
    for name, used in expected.items():
        if not _is_whole(name, books.now_ms):
            continue
        text = books.windows.get(name)
        tally = _tally(text)
        right_tally = _corrected(tally or Tally(), used, books.adjustments.get(name))
        if tally != right_tally:
            differences.append(Difference(books.subject, "windows", name, text, right_tally.text))
    return differences


def shard_differences(
    shard: str,
    books: ShardBooks,
    day: int,
    events: Iterable[Event],
    parts: AbstractSet[Part] = ALL_PARTS,
    *,
    erased: bool = False,
) -> list[Difference]:
    """Where a shard's sums differ from all its events of `day`.

    `erased`: users of this shard have been erased since. Their events are gone and stay in everybody's sums, so that
    only sums which are less than the events are named, and what is right is not less than what was found.
    """
    events = list(events)
    right = shard_sums(events)
    right["in_time"] = _index(events, books.in_time, lambda one: f"{one.request_id} {one.subject}")
    if not _all_counted(events):
        del right["first_bytes"]
    differences = people_differences(shard, books, day, erased=erased) if "people" in parts else []
    for part in right:
        if part not in parts:
            continue
        found = books.part(part)
        if part == "days":
            found = {name: text for name, text in found.items() if name.split(" ", 1)[0] == str(day)}
        unequal = _unequal(shard, part, found, right[part])
        if erased and part in ("hours", "days", "first_bytes"):
            unequal = [raised for raised in map(_raised, unequal) if raised.found != raised.right]
        differences += unequal
    return differences


def _all_counted(events: Iterable[Event]) -> bool:
    """Whether no gateway of before has written one of these events, or undone one for it."""
    return all(event.version >= PEOPLE_SINCE for event in events)


def summaries_of(events: Iterable[Event]) -> dict[str, str]:
    """The summaries that the events make: field -> text."""
    return _added(
        events,
        lambda event: _line(event.admitted_ms // DAY_MS, summed_model(event.detail), event.detail.tier, event.key_id),
    )


def shard_sums(events: Iterable[Event]) -> dict[Part, dict[str, str]]:
    """Everybody's sums and rankings that the events make: field -> text."""
    kept = list(events)
    tokens, cost, first_bytes = Counter[str](), Counter[str](), Counter[str]()
    for event in kept:
        tokens[event.subject] += event.tokens
        cost[event.subject] += event.detail.cost_nano_usd
        first_bytes.update(first_byte_word(event).split(" "))
    return {
        "hours": _added(kept, lambda event: _aggregate(event.admitted_ms // HOUR_MS, event)),
        "days": _added(kept, lambda event: _aggregate(event.admitted_ms // DAY_MS, event)),
        "tokens": {name: str(score) for name, score in tokens.items()},
        "cost": {name: str(score) for name, score in cost.items()},
        "first_bytes": {name: str(number) for name, number in first_bytes.items()},
    }


def _subject_index(books: SubjectBooks, events: Sequence[Event]) -> dict[str, str]:
    """A day of few events needs none, and one that a gateway of before has written to may be without."""
    found = books.events_in_time
    if not found and (len(events) <= READ_WHOLE or any(event.version < IN_TIME_SINCE for event in events)):
        return {}
    return _index(events, found, lambda event: event.request_id)


def _index(events: Iterable[Event], found: Texts, name_of: Callable[[Event], str]) -> dict[str, str]:
    """The events by time: name -> ms. Those of before that nobody has put there yet are not missed."""
    named = ((name_of(event), event) for event in events)
    return {name: str(event.admitted_ms) for name, event in named if event.version >= IN_TIME_SINCE or name in found}


def duplicates(subject: str, ids: AbstractSet[str], seen: set[str]) -> list[Difference]:
    """Request ids that another subject's events have too. Adds `ids` to `seen`."""
    twice = [Difference(subject, None, one, None, None, "the request is in the ledger twice") for one in ids & seen]
    seen.update(ids)
    return twice


def _added(events: Iterable[Event], name_of: Callable[[Event], str]) -> dict[str, str]:
    # Lists, as there may be millions of events.
    totals: dict[str, list[int]] = {}
    for event in events:
        figures = sums_of(event).values()
        total = totals.get(name := name_of(event))
        totals[name] = list(figures) if total is None else list(map(int.__add__, total, figures))
    return {name: " ".join(map(str, total)) for name, total in totals.items()}


_NO_SUMS = Sums()


def _aggregate(index: int, event: Event) -> str:
    detail = event.detail
    return _line(index, summed_model(detail), detail.provider, detail.tier, event.outcome, detail.error)


def _line(index: int, *names: str) -> str:
    return " ".join([str(index), *map(name_word, names)])


def _unequal(where: str, part: Part, found: Texts, right: Texts) -> list[Difference]:
    differences = []
    for name in sorted(found.keys() | right.keys()):
        is_there, should_be = found.get(name), right.get(name)
        if is_there != should_be and not (_is_nothing(is_there) and _is_nothing(should_be)):
            differences.append(Difference(where, part, name, is_there, should_be))
    return differences


def _is_nothing(text: str | None) -> bool:
    """A field of zeros says the same as no field: what a settlement takes back leaves it."""
    return text is None or not text.strip("0 -")


def _raised(difference: Difference) -> Difference:
    least = [0] * len((difference.found or difference.right or "").split(" "))
    found = _numbers(difference.found) if difference.found else least
    right = _numbers(difference.right) if difference.right else least
    if len(found) != len(right):
        return difference
    return replace(difference, right=" ".join(str(max(pair)) for pair in zip(found, right, strict=True)))


def _numbers(text: str | None) -> list[int]:
    try:
        return [int(word) for word in text.split(" ")] if text is not None else [0] * len(_NO_SUMS.values())
    except ValueError:
        return []


def _day_windows(events: Iterable[Event], day: int) -> dict[str, Amounts]:
    """Of every hour of the day and of the day itself, those without use too."""
    windows = {f"h{day * 24 + hour}": NOTHING for hour in range(24)} | {f"d{day}": NOTHING}
    for event in events:
        used = amounts(event)
        for name in (f"h{event.admitted_ms // HOUR_MS}", f"d{event.admitted_ms // DAY_MS}"):
            windows[name] = plus(windows.get(name, NOTHING), used)
    return windows


def _month_window(summaries: Texts, day: int) -> dict[str, Amounts]:
    """Without later metrics, which sums do not have."""
    total = _NO_SUMS
    for text in summaries.values():
        words = _numbers(text)
        if len(words) == len(total.values()):
            total += Sums(*words)
    return {f"M{window_index(Window.MONTH, day * DAY_MS)}": (total.requests, total.tokens, total.nano_usd)}


_WINDOWS = {"h": Window.HOUR, "d": Window.DAY, "M": Window.MONTH}


def _is_whole(name: str, now_ms: int) -> bool:
    """Older windows are removed one by one, and one that a late settlement makes again holds that alone."""
    return int(name[1:]) >= window_index(_WINDOWS[name[0]], now_ms) - 1


def _corrected(tally: Tally, used: Amounts, adjustment: str | None) -> Tally:
    """A window as events and adjustments make it. What they say nothing of stays."""
    changes = _numbers(adjustment) if adjustment else []
    changes += [0] * (len(used) - len(changes))
    right = [max(0, amount) for amount in plus(used, tuple(changes))]
    return Tally.of((*right, *map(tally.used, tuple(Metric)[len(right) :])), tuple(map(tally.held, Metric)))


def _tally(text: str | None) -> Tally | None:
    """A window's numbers, of which very old ones are three; `None` for a text that is none."""
    if text is None:
        return Tally()
    words = _numbers(text)
    return Tally.of_text(text) if len(words) == 3 or len(words) >= 6 else None
