"""How long what is recorded is kept."""

from dataclasses import dataclass

DEFAULT_AUDIT_DAYS = 400
DEFAULT_EVENTS_DAYS = 35
DEFAULT_HOURS_DAYS = 35
DEFAULT_DAYS_DAYS = 400
DEFAULT_ARCHIVE_DAYS = 400


@dataclass(frozen=True, slots=True)
class Retention:
    """Ages in days, after which entries are removed.

    `events_days`: the ledger's events of single requests. `hours_days`: everybody's sums by hour, and the rankings of
    users. `days_days`: everybody's sums by day, and each user's. `archive_after_days`: events of days older than this
    go to files (`None`: only when the store's memory gets tight), which are kept for `archive_days`.
    """

    audit_days: int = DEFAULT_AUDIT_DAYS
    events_days: int = DEFAULT_EVENTS_DAYS
    hours_days: int = DEFAULT_HOURS_DAYS
    days_days: int = DEFAULT_DAYS_DAYS
    archive_after_days: int | None = None
    archive_days: int = DEFAULT_ARCHIVE_DAYS
