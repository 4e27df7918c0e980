"""How long what is recorded is kept."""

from dataclasses import dataclass

DEFAULT_AUDIT_DAYS = 400


@dataclass(frozen=True, slots=True)
class Retention:
    """Ages in days, after which entries are removed."""

    audit_days: int = DEFAULT_AUDIT_DAYS
