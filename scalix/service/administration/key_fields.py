"""What operators may write of a virtual key: LiteLLM's fields, judged one by one.

A field of LiteLLM that means nothing here is refused rather than ignored: it may be a limit that somebody relies on.
Empty values of such fields limit nothing, and LiteLLM's own tools send them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import Field

from scalix.domain.errors import BadRequest
from scalix.domain.identity.addresses import parse_network
from scalix.domain.identity.key_secrets import is_digest
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits import limit_amounts
from scalix.domain.limits.limit_amounts import WrongAmount
from scalix.domain.limits.spans import span_ms
from scalix.domain.model_names import fits
from scalix.domain.policy import Policy
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.service.bodies import ReadBy, RequestBody, flag, refuse_unknown_fields

MOST_METADATA_BYTES = 16_384
MOST_MODELS = 200
MOST_DELETED = 100
MOST_NETWORKS = 100
MOST_ALIAS_CHARS = 255
ALL_MODELS = "all-proxy-models"  # LiteLLM's word for every model, as far as the tier has it
NEVER = "-1"  # LiteLLM's word for a key without an end

# `litellm.proxy._types.GenerateKeyRequest`, `UpdateKeyRequest` and `RegenerateKeyRequest`, without those above.
OTHERS_OF_LITELLM = frozenset(
    {
        *("access_group_ids", "agent_id", "aliases", "allowed_cache_controls", "allowed_passthrough_routes"),
        *("allowed_routes", "allowed_vector_store_indexes", "auto_rotate", "budget_fallbacks", "budget_id"),
        *("budget_limits", "config", "default_estimated_output_tokens", "default_estimated_output_tokens_per_model"),
        *("denied_passthrough_routes", "disable_global_guardrails", "enable_prompt_caching", "end_user_budget_id"),
        *("enforced_params", "grace_period", "guardrails", "key", "mcp_rpm_limit", "model_max_budget"),
        *("model_rpm_limit", "model_tpm_limit", "new_key", "new_master_key", "object_permission", "organization_id"),
        *("permissions", "policies", "project_id", "prompts", "rotation_interval", "router_settings"),
        *("rpm_limit_type", "send_invite_email", "soft_budget", "tag_rpm_limit", "tags", "team_id"),
        *("temp_budget_expiry", "temp_budget_increase", "throttle_on_budget_exceeded", "tpd_limit", "tpm_limit_type"),
    }
)


def changed(record: KeyRecord, body: Mapping[str, Any], policy: Policy, now_ms: int) -> KeyRecord:
    """The record with what `body` says; `null` takes a setting away. Its models are to be those of `policy`.

    Raises `BadRequest`.
    """
    changes: dict[str, Any] = {}
    for name, (attribute, read, without) in _READERS.items():
        if name in body:
            changes[attribute] = without if body[name] is None else read(body[name], name)
    if "models" in body:
        changes["models"] = () if body["models"] is None else _models(body["models"], policy)
    if "metadata" in body:
        changes["sealed_metadata"] = None
    if "duration" in body:
        never = body["duration"] in (None, NEVER)
        changes["expires_ms"] = None if never else now_ms + _span(body["duration"], "duration")
    if "budget_duration" in body:
        text = body["budget_duration"]
        period_ms = 0 if text is None else _span(text, "budget_duration")
        if period_ms != record.budget_period_ms:
            changes |= {"budget_period_ms": period_ms, "budget_anchor_ms": now_ms if period_ms else 0}
        changes["budget_duration"] = text
    if body.get("key_type") not in (None, "default", "llm_api"):
        message = "'key_type' must be llm_api: a virtual key can use models and nothing else."
        raise BadRequest(message, param="key_type")
    return replace(record, **changes)


def spend_in(body: Mapping[str, Any]) -> int | None:
    """What the key is said to have spent, in nano-dollars; `None` when nothing is said."""
    value = body.get("spend")
    return None if value is None else _usd(value, "spend")


def grace_ms(body: Mapping[str, Any]) -> int:
    """For how long a replaced secret still works. Raises `BadRequest`."""
    text = body.get("grace_period")
    return 0 if text in (None, "", "0", "0s") else _span(text, "grace_period")


def _alias(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_ALIAS_CHARS or not value.isprintable():
        raise BadRequest(f"'{name}' must be a printable text of 1 to {MOST_ALIAS_CHARS} characters.", param=name)
    if value.startswith("sk-") or is_digest(value):
        raise BadRequest(f"'{name}' looks like a key. An alias is shown in lists: choose a name.", param=name)
    return value


def _amount(read: Callable[[Any], int], value: Any, name: str) -> int:
    try:
        return read(value)
    except WrongAmount as error:
        raise BadRequest(f"'{name}' {error.what}: {error.fix}, or null for no limit.", param=name) from None


_count, _usd = partial(_amount, limit_amounts.count), partial(_amount, limit_amounts.nano_usd)


def texts(value: Any, name: str, most: int, what: str = "texts") -> list[str]:
    """`value` without repetitions, if it is a list of at most so many texts. `what` is how the error calls them."""
    if not isinstance(value, list) or len(value) > most or not all(isinstance(text, str) for text in value):
        raise BadRequest(f"'{name}' must be a list of up to {most} {what}.", param=name)
    return list(dict.fromkeys(value))


def _models(value: Any, policy: Policy) -> tuple[str, ...]:
    patterns = texts(value, "models", MOST_MODELS, "names or patterns")
    if ALL_MODELS in patterns:
        return ()
    for pattern in patterns:
        names = (*policy.models, *policy.wildcards)
        if pattern not in policy.models_with(pattern) and not any(fits(pattern, name) for name in names):
            message = f"'{shown_text(pattern)}' is no model here, and fits none. GET /v1/models lists those in service."
            raise BadRequest(message, param="models")
    return tuple(patterns)


def _networks(value: Any, name: str) -> tuple[str, ...]:
    found = []
    for text in texts(value, name, MOST_NETWORKS, "networks"):
        try:
            found.append(str(parse_network(text)))
        except ValueError:
            fix = "write one such as 203.0.113.0/24, or an address alone"
            message = f"'{shown_text(text, 60)}' in '{name}' is no network: {fix}."
            raise BadRequest(message, param=name) from None
    return tuple(dict.fromkeys(found))


def _metadata(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(orjson.dumps(value)) > MOST_METADATA_BYTES:
        raise BadRequest(f"'{name}' must be an object of up to {MOST_METADATA_BYTES} bytes.", param=name)
    return value


def _span(value: Any, name: str) -> int:
    length_ms = span_ms(value)
    if length_ms is None:
        raise BadRequest(f"'{name}' must be a time such as 30s, 15m, 24h, 30d, 2w or 1mo.", param=name)
    return length_ms


# By the field's name: the record's attribute, what reads the field, and what stands for `null`.
_READERS: dict[str, tuple[str, Callable[[Any, str], Any], Any]] = {
    "key_alias": ("alias", _alias, None),
    "max_budget": ("max_budget_nano_usd", _usd, None),
    "tpm_limit": ("tpm_limit", _count, None),
    "rpm_limit": ("rpm_limit", _count, None),
    "max_parallel_requests": ("max_parallel_requests", _count, None),
    "allowed_ips": ("allowed_ips", _networks, ()),
    "denied_ips": ("denied_ips", _networks, ()),
    "metadata": ("metadata", _metadata, {}),
    "blocked": ("blocked", flag, False),
}


_LISTED = ReadBy(
    lambda value, name: texts([] if value is None else value, name, MOST_DELETED),
    {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": MOST_DELETED},
)


def _as_written(*types: str, **more: Any) -> ReadBy:
    """A field that is read when all of the body's amounts are known."""
    return ReadBy(lambda value, name: value, {"type": [*types, "null"], **more})


_AMOUNT, _SPAN, _TEXT, _NAMES = (
    _as_written("number", "string"),
    _as_written("string", "integer"),
    _as_written("string"),
    _as_written("array", items={"type": "string"}),
)


class KeyBody(RequestBody):
    """A body with fields of a key; LiteLLM's others are taken where they are empty."""

    refuses_unknown: ClassVar[bool] = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """As for every body. Raises `BadRequest` that names the field."""
        known = cls.model_fields.keys()
        for name in sorted(body.keys() - known):
            if name not in OTHERS_OF_LITELLM:
                refuse_unknown_fields({name: None}, known)
            if body[name] not in (None, False, "", [], {}):
                message = f"LiteLLM's field '{name}' has no effect on this gateway, so it is refused. Leave it out."
                raise BadRequest(message, param=name)
        return super().read(body)


class KeyToChange(KeyBody):
    """A key, by its secret or its SHA-256."""

    key: Annotated[Any, _TEXT] = None


class KeySettings(KeyBody):
    """What every act on a key may set; `null` takes a setting away."""

    key_alias: Annotated[Any, _TEXT] = None
    models: Annotated[Any, _NAMES] = None
    max_budget: Annotated[Any, _AMOUNT] = None
    budget_duration: Annotated[Any, _SPAN] = None
    duration: Annotated[Any, _SPAN] = None
    tpm_limit: Annotated[Any, _AMOUNT] = None
    rpm_limit: Annotated[Any, _AMOUNT] = None
    max_parallel_requests: Annotated[Any, _AMOUNT] = None
    metadata: Annotated[Any, _as_written("object")] = None
    blocked: Annotated[Any, _as_written("boolean")] = None
    user_id: Annotated[Any, _TEXT] = None
    key_type: Annotated[Any, ReadBy(lambda value, name: value, {"enum": ["default", "llm_api", None]})] = None
    allowed_ips: Annotated[Any, _NAMES] = None
    denied_ips: Annotated[Any, _NAMES] = None


class NewKey(KeySettings):
    """A new key; `spend` is what it is to have spent."""

    spend: Annotated[Any, _AMOUNT] = None


class KeyChange(NewKey, KeyToChange):
    """What is not named stays."""


class Regenerate(KeySettings, KeyToChange):
    """A new secret; the old one works for `grace_period` more."""

    grace_period: Annotated[Any, _SPAN] = None


class KeysToDelete(KeyBody):
    """Keys by secret or SHA-256, or by alias."""

    keys: Annotated[list[str], _LISTED] = Field(default_factory=list)
    key_aliases: Annotated[list[str], _LISTED] = Field(default_factory=list)
