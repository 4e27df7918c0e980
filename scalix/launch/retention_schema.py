"""The shape of `scalix.retention`."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from scalix.domain.retention import DEFAULT_AUDIT_DAYS, DEFAULT_DAYS_DAYS, DEFAULT_EVENTS_DAYS, DEFAULT_HOURS_DAYS
from scalix.launch.schema_base import Section, wrong

_MOST_DAYS = 3_650


def _days(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_DAYS:
        raise wrong(f"is not a number of days from 1 to {_MOST_DAYS}", f"write a number such as {DEFAULT_AUDIT_DAYS}")
    return value


Days = Annotated[int, BeforeValidator(_days)]


class RetentionSection(Section):
    """After how many days what is recorded is removed."""

    audit_days: Days = DEFAULT_AUDIT_DAYS
    events_days: Days = DEFAULT_EVENTS_DAYS
    hours_days: Days = DEFAULT_HOURS_DAYS
    days_days: Days = DEFAULT_DAYS_DAYS
