"""How a virtual key is shown to operators: in LiteLLM's fields. Never its secret."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import KeyTallies, Tally
from scalix.service.described import Fields, Json

UNREADABLE = "This key's metadata is encrypted with a key that is not among those of SCALIX_ENCRYPTION_KEY"
_AS_THEY_ARE = ("budget_duration", "tpm_limit", "rpm_limit", "max_parallel_requests", "blocked")
_LISTS = ("models", "allowed_ips", "denied_ips")
SHOWN_KEY = Fields(
    {str: "token token_id key_name user_id status created_by", bool: "blocked", float: "spend total_spend"},
    {str | None: "key_alias budget_duration budget_reset_at replaced_keys_valid_until expires created_at updated_at"},
    {int: "requests tokens in_flight_requests", int | None: "tpm_limit rpm_limit max_parallel_requests"},
    {list[str]: _LISTS, float | None: "max_budget"},
    {dict[str, Any] | None: "metadata", NotRequired[str]: "metadata_error"},
)
ShownKey = Annotated[Json, SHOWN_KEY]


def shown_key(record: KeyRecord, tallies: KeyTallies, now_ms: int) -> ShownKey:
    """The key with its use. As with LiteLLM, `spend` is that of the running budget period, where there are periods."""
    total = tallies.get(KeyWindow.TOTAL, Tally())
    period = tallies.get(KeyWindow.BUDGET, Tally()) if record.budget_period_ms else total
    shown = {
        "token": record.digest,
        "token_id": record.digest,
        **told_key(record),
        "user_id": record.user_id,
        "spend": period.nano_usd_used / NANO_USD_PER_USD,
        "total_spend": total.nano_usd_used / NANO_USD_PER_USD,
        "budget_reset_at": _time(record.budget_resets_ms(now_ms)),
        "metadata": record.metadata,
        "status": "revoked" if record.blocked else "expired" if record.has_expired(now_ms) else "active",
        "requests": total.requests_used,
        "tokens": total.tokens_used,
        "in_flight_requests": total.requests_held,
        "replaced_keys_valid_until": _time(max((end for end in record.former.values() if end > now_ms), default=None)),
        "created_at": _time(record.created_ms),
        "created_by": record.created_by,
        "updated_at": _time(record.updated_ms),
    }
    return shown if record.sealed_metadata is None else {**shown, "metadata": None, "metadata_error": UNREADABLE}


def told_key(record: KeyRecord) -> dict[str, Any]:
    """What the audit log keeps of a key: no metadata, which is the operator's own data."""
    return {
        "key_name": f"sk-...{record.last_four}",
        "key_alias": record.alias,
        "max_budget": _usd(record.max_budget_nano_usd),
        "expires": _time(record.expires_ms),
        **{name: getattr(record, name) for name in _AS_THEY_ARE},
        **{name: list(getattr(record, name)) for name in _LISTS},
    }


def names_in(told: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells of what `told_key` says whose key it is: its alias, and the networks that it is used from."""
    networks = (*told.get("allowed_ips", ()), *told.get("denied_ips", ()))
    return tuple(filter(None, (told.get("key_alias"), *networks)))


def _usd(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / NANO_USD_PER_USD


def _time(at_ms: int | None) -> str | None:
    return rfc3339(at_ms) if at_ms else None
