"""What the check of the ledger compares: all that is kept of one subject, or of one shard, and one day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Part = Literal[
    "windows",
    "summaries",
    "events_in_time",
    "person",
    "hours",
    "days",
    "tokens",
    "cost",
    "first_bytes",
    "people",
    "in_time",
]
"""Which of the store's keys: a subject's windows and summaries, its events by time, and when it was there; everybody's
sums by hour and by day; the rankings; first bytes; how many people there were; everybody's events by time."""

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SubjectBooks:
    """All that the store holds of one subject and day, read at one moment.

    `adjustments` are what operators and merges have added to windows (or taken: negative), which no event explains.
    `under_pseudonym`: the subject was erased and has come back, and the windows are those of before, without this name.
    """

    subject: str
    now_ms: int
    events: Texts
    windows: Texts
    summaries: Texts
    adjustments: Texts = field(default_factory=dict)
    person: str = ""
    events_in_time: Texts = field(default_factory=dict)
    under_pseudonym: bool = False


@dataclass(frozen=True, slots=True)
class ShardBooks:
    """Everybody's sums of one shard and day: by hour, by day, the rankings by tokens and by cost, first bytes, who was
    there on all days, and the events by time. `today` is the day on which they were read."""

    hours: Texts
    days: Texts
    tokens: Texts
    cost: Texts
    first_bytes: Texts
    people: Texts
    today: int
    in_time: Texts = field(default_factory=dict)

    def part(self, name: Part) -> Texts:
        """One of them."""
        texts: Texts = getattr(self, name)
        return texts


SHARD_PARTS: tuple[Part, ...] = ("hours", "days", "tokens", "cost", "first_bytes", "people", "in_time")
SUBJECT_PARTS: tuple[Part, ...] = ("windows", "summaries", "events_in_time", "person")
INDEXES: frozenset[Part] = frozenset({"in_time", "events_in_time"})
ALL_PARTS: frozenset[Part] = frozenset({*SUBJECT_PARTS, *SHARD_PARTS})


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that does not say what the events say. `found` and `right` are texts of the store; `None`: no field.

    `where` is a subject, or a shard such as `s3f`. What has no `part` can't be mended from events: `why` says what
    is wrong with it.
    """

    where: str
    part: Part | None
    field: str
    found: str | None
    right: str | None
    why: str = ""
