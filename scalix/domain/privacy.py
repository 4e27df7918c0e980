"""Consent: what is stored about users beyond metering and billing, and whether they agreed to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scalix.domain.ledger.ledger import Detail

USAGE_DETAILS = "usage_details"
CONSENTS = (USAGE_DETAILS,)
"""What a user may agree to. `usage_details`: latency, streaming, cache hits and failed attempts of each request."""


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """The `scalix: privacy:` section.

    `usage_details` applies to users who have not chosen. `keep_billing`: the charges of an erased user are kept by day,
    without a name. Virtual keys are removed `expired_keys_days` after they expired, and journal lines that could not be
    replayed `set_aside_days` after they were set aside.
    """

    usage_details: bool = True
    keep_billing: bool = False
    expired_keys_days: int = 30
    set_aside_days: int = 35


def consents(given: Mapping[str, bool], settings: PrivacySettings) -> dict[str, bool]:
    """What a user agrees to: the user's own choice, else the configured one."""
    return {name: given.get(name, getattr(settings, name)) for name in CONSENTS}


def permitted(detail: Detail, given: Mapping[str, bool], settings: PrivacySettings) -> Detail:
    """What may be stored of a request. Figures, models, prices and errors are metering and always stored."""
    if consents(given, settings)[USAGE_DETAILS]:
        return detail
    return replace(
        detail, latency_ms=0, first_token_ms=None, streamed=False, cache_hit=False, fallbacks=(), failed_deployments=()
    )
