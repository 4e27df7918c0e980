"""The shape of `scalix.retention` and `scalix.privacy`."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from scalix.domain.ledger.retention import (
    DEFAULT_ARCHIVE_DAYS,
    DEFAULT_AUDIT_DAYS,
    DEFAULT_DAYS_DAYS,
    DEFAULT_EVENTS_DAYS,
    DEFAULT_HOURS_DAYS,
)
from scalix.domain.privacy import DEFAULT_EXPIRED_KEYS_DAYS, DEFAULT_SET_ASIDE_DAYS
from scalix.launch.config.schema_base import Section, wrong

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
    archive_after_days: Days | None = None
    archive_days: Days = DEFAULT_ARCHIVE_DAYS

    @model_validator(mode="after")
    def _archived_before_it_is_removed(self) -> Self:
        if self.archive_after_days is not None and self.archive_after_days >= self.events_days:
            what = (
                f"archive_after_days is {self.archive_after_days}, and events are removed after {self.events_days} days"
            )
            raise wrong(what, f"write less than {self.events_days}, or a greater events_days")
        return self


class PrivacySection(Section):
    """What is kept of users beyond metering, and of those who were erased."""

    usage_details: bool = True
    keep_billing: bool = False
    expired_keys_days: Days = DEFAULT_EXPIRED_KEYS_DAYS
    set_aside_days: Days = DEFAULT_SET_ASIDE_DAYS
