"""What is kept of users beyond what metering and billing need, and whether they have agreed to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scalix.domain.ledger.ledger import Detail

USAGE_DETAILS = "usage_details"
CONSENTS = (USAGE_DETAILS,)
"""What a user may agree to. `usage_details`: how fast and how a request was answered, and what failed before."""

DEFAULT_EXPIRED_KEYS_DAYS = 30
DEFAULT_SET_ASIDE_DAYS = 35


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """The `scalix: privacy:` section.

    `usage_details` holds for users who have said nothing. `keep_billing`: the charges of a user who is erased are kept
    by day, without a name. Virtual keys are removed `expired_keys_days` after they have expired, lines that no journal
    could replay `set_aside_days` after they were set aside.
    """

    usage_details: bool = True
    keep_billing: bool = False
    expired_keys_days: int = DEFAULT_EXPIRED_KEYS_DAYS
    set_aside_days: int = DEFAULT_SET_ASIDE_DAYS


def consents(given: Mapping[str, bool], settings: PrivacySettings) -> dict[str, bool]:
    """What a user agrees to: what the user has said, else what is configured."""
    return {name: given.get(name, getattr(settings, name)) for name in CONSENTS}


def permitted(detail: Detail, given: Mapping[str, bool], settings: PrivacySettings) -> Detail:
    """What may be kept of a request. Figures, names of models, prices and errors are metering, and always are."""
    if consents(given, settings)[USAGE_DETAILS]:
        return detail
    return replace(detail, latency_ms=0, first_token_ms=None, streamed=False, cache_hit=False, fallbacks=())
