"""Prompts whose size can't be known beforehand are refused where something is limited by it."""

from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.offered_tools import take_out_offered
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.unknown_size import path_of, unknown_size_field
from scalix.service.identity.callers import Caller

_TOOLS = ("tools[", "functions[")


def left_out(caller: Caller, body: dict[str, Any]) -> list[str]:
    """Tools that are taken out of the body: what they bring in has no size, and the client can do without them."""
    return take_out_offered(body) if _limited_by(caller) else []


def refuse_unknown_size(caller: Caller, route: Route, body: Mapping[str, Any]) -> None:
    """Raise `BadRequest` for what is kept elsewhere, on a tier or key with limits of tokens or money."""
    whose = _limited_by(caller)
    field = unknown_size_field(route, body) if whose else None
    if field:
        remedy = "Leave this tool out." if field.startswith(_TOOLS) else "Send the content itself instead."
        message = f"'{field}' brings in text of unknown size, which {whose} can't account for. {remedy}"
        raise BadRequest(message, param=field)


def refuse_unmeasured(caller: Caller, body: Mapping[str, Any], media: Media) -> None:
    """Raise `BadRequest` for media in the body that could not be measured, as `refuse_unknown_size` does."""
    whose = _limited_by(caller) if media.unmeasured else None
    if whose:
        field = path_of(body, media.unmeasured[0])
        message = (
            f"How many pages, seconds or pixels there are in '{field}' can't be told, so {whose} can't account for it. "
            "Send images as PNG, JPEG, WebP or GIF; sound as WAV, MP3, FLAC, Ogg (Opus or Vorbis), M4A or WebM; PDF "
            "files without encryption; texts in UTF-8; each as whole base64, under its own media type."
        )
        raise BadRequest(message, param=field)


def _limited_by(caller: Caller) -> str | None:
    if any(not limit.metric.unit.is_exact and limit.enforce for limit in caller.limits.windows):
        return "the token limits of your tier"
    if caller.key is not None and any(not limit.metric.unit.is_exact for limit in caller.key.scope.limits):
        return "the token limits of your API key"
    return "a prepaid balance" if caller.tier is not None and caller.tier.prepaid else None
