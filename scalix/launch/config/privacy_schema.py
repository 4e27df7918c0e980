"""The shape of `scalix.privacy`."""

from scalix.domain.privacy import DEFAULT_EXPIRED_KEYS_DAYS, DEFAULT_SET_ASIDE_DAYS
from scalix.launch.config.retention_schema import Days
from scalix.launch.config.schema_base import Section


class PrivacySection(Section):
    """What is kept of users beyond metering, and of those who were erased."""

    usage_details: bool = True
    keep_billing: bool = False
    expired_keys_days: Days = DEFAULT_EXPIRED_KEYS_DAYS
    set_aside_days: Days = DEFAULT_SET_ASIDE_DAYS
