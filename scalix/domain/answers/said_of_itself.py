"""What a provider's answer says of itself, beside its content: which model it is of, and why it has ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from scalix.domain.json_values import mapped, objects

_MOST_REASONS = 16
# Whatever else stands in their place may be content.
_MODEL = re2.compile(r"[\w.:/@+-]{1,128}")
_REASON = re2.compile("[A-Za-z_]{1,40}")


@dataclass(slots=True)
class Said:
    """`model` is the provider's name of it; `reasons` are those of the choices to end."""

    model: str = ""
    reasons: list[str] = field(default_factory=list)


def note_said(said: Said, answer: Mapping[str, Any]) -> None:
    """Note what an answer or an event says, in whichever format."""
    inner = mapped(answer.get("response")) or mapped(answer.get("message")) or answer
    model = inner.get("model") or inner.get("modelVersion")
    if not said.model and isinstance(model, str) and _MODEL.fullmatch(model):
        said.model = model
    for reason in _reasons(answer, inner):
        if isinstance(reason, str) and _REASON.fullmatch(reason) and len(said.reasons) < _MOST_REASONS:
            said.reasons.append(reason)


def _reasons(answer: Mapping[str, Any], inner: Mapping[str, Any]) -> Iterator[Any]:
    for choice in objects(answer.get("choices")):
        yield choice.get("finish_reason")
    for candidate in objects(answer.get("candidates")):
        yield candidate.get("finishReason")
    yield inner.get("stop_reason") or mapped(answer.get("delta")).get("stop_reason")
    if inner.get("object") == "response" and inner.get("status") not in ("in_progress", "queued"):
        yield mapped(inner.get("incomplete_details")).get("reason") or inner.get("status")
