"""What differs between the answers of the two engines, and why: `docs/engines.md` has it in words."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.e2e.api_types import events_of

# What only one answer has: ids that somebody has made up, and the names of our models.
_OF_THIS_CALL = re.compile(
    r"demo[0-9a-f]{8}\d+|(?:chatcmpl-|cmpl-|call_)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
    r"|(?:direct|litellm)-[a-z_]+"
)
_SAID = ("index", "message", "delta", "text", "reasoning_content")
_STANDARD = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})

_NOT_TRANSLATED = r"status|errors|choice0|id|model|object|usage|usages"

# The call, the path to what differs, and the reason. `ours` is what the direct engine gives.
DIFFERENT: tuple[tuple[str, str, str], ...] = (
    # What LiteLLM loses
    (".*", r"choice0\.(?:reasoning|reasoning_details)", "it leaves one name of what was thought"),
    ("groq .*", r"choice0\.reasoning_content", "of Groq's thoughts it leaves the provider's name only"),
    (".* whole", r"choice0\.(?:native_finish_reason|matched_stop|seed)", "it moves what it does not know"),
    (".* stream.*", r"choice0\.matched_stop", "it drops what it does not know"),
    (".* stream.*", "citations|search_results|system_fingerprint|metadata|prompt", "it drops what it does not know"),
    (".* Groq .*", r"usage\.(?:queue|prompt|completion|total)_time", "it drops what it does not know"),
    (".* xAI .*", r"usage\.num_sources_used", "it drops what it does not know"),
    (".* DeepSeek .*", r"usage\.prompt_cache_(?:hit|miss)_tokens", "it drops what it does not know"),
    (".* SGLang .*", r"usage\.reasoning_tokens", "it drops what it does not know"),
    (r".* no finish stream\+usage", "usage|usages", "of a stream that has no end it tells no usage"),
    (
        ".* text: chat .* whole",
        r"citations|system_fingerprint|choice0\.(?:reasoning_content|text)",
        "of a chat it leaves the text",
    ),
    (".* text: chat OpenRouter stream.*", r"choice0\.native_finish_reason", "it drops what it does not know"),
    # What LiteLLM makes up
    (".* whole", r"choice0\.provider_specific_fields", "it moves what it does not know here"),
    (".* stream\\+usage", r"usage\.completion_tokens_details.*", "it counts thoughts and text by itself"),
    (
        ".* (?:usage as text|usage=\\w+) .*",
        "usage|usages",
        "for a usage that can't be true it states 0, or a count of its own",
    ),
    (".* (?:no choices|choices that are null) stream.*", "choice0", "it makes an empty choice of none"),
    ("mistral Mistral's call whole", r"choice0\.content", "it makes null of an empty text"),
    ("groq Groq whole", "service_tier", "it makes auto of the tiers that OpenAI does not have"),
    # What LiteLLM passes on of completions as it is
    ("openai text: no number .*", "choice0|choiceNone", "a choice without a number"),
    ("openai text: no choices stream", _NOT_TRANSLATED + "|ends", "an empty stream"),
    ("openai text: no finish whole", r"choice0\.finish_reason", "a whole text without an end"),
    (
        ".* text: (?:chat .*call|Together|an unknown finish) .*",
        r"choice0\.finish_reason",
        "a reason to end that texts do not have",
    ),
    # Where LiteLLM fails, or its answer is not OpenAI's
    (
        "groq (?:text: chat )?(?:a text|a call) whole",
        _NOT_TRANSLATED,
        "it fails on Groq's answer without a service tier",
    ),
    (".* no message whole", _NOT_TRANSLATED, "it fails on a choice without a message; to us that is an empty one"),
    ("hosted_vllm choices that are null stream.*", _NOT_TRANSLATED + "|ends", "it fails on them; to us they are none"),
    (".* a head of other types .*", _NOT_TRANSLATED + "|ends|charge", "it passes a number as an id on, or fails on it"),
    (".* a call without an id stream.*", r"choice0\.call0\.id", "it makes an id for whole answers only"),
    ("demo text: statuses=500,200 .* stream.*", _NOT_TRANSLATED + "|ends|charge", "it asks for a streamed text once"),
    (".* no total whole", r"usage\.total_tokens", "it says that the sum is 0"),
    (".* Groq .*", "service_tier", "it passes on a tier that OpenAI's SDK refuses"),
)


def differences(
    ours: httpx.Response, our_charge: Any, theirs: httpx.Response, their_charge: Any
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Where two answers and their charges differ: the path, and both values."""
    yield from _differing({**told(ours), "charge": our_charge}, {**told(theirs), "charge": their_charge}, "")


def _differing(one: Any, other: Any, at: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys((*one, *other)):
            yield from _differing(one.get(name), other.get(name), f"{at}.{name}".lstrip("."))
    elif one != other:
        yield at, (one, other)


def told(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says; of a stream, what its chunks say together."""
    text = _OF_THIS_CALL.sub("#", answer.text)
    streamed = "text/event-stream" in answer.headers["content-type"]
    values = [value for _, value in events_of(text)] if streamed else [json.loads(text)]
    errors = [value["error"] for value in values if "error" in value]
    for error in errors:
        error.get("scalix", {}).pop("request_id", None)
    said: dict[str, Any] = {
        "status": answer.status_code,
        "ends": streamed and text.rstrip().endswith("[DONE]"),
        "errors": errors,
        "usages": len([value for value in values if value.get("usage")]),
    }
    for value in values:
        said |= {name: given for name, given in value.items() if name not in _STANDARD and given is not None}
        said.update({name: value[name] for name in ("id", "model", "object", "usage") if value.get(name) is not None})
        for choice in value.get("choices") or ():
            _note(said.setdefault(f"choice{choice['index']}", {}), choice)
    return said


def _note(said: dict[str, Any], choice: dict[str, Any]) -> None:
    for name, value in (choice.get("message") or choice.get("delta") or _text(choice)).items():
        if name == "tool_calls":
            for number, call in enumerate(value or ()):
                _note_call(said.setdefault(f"call{call.get('index', number)}", {}), call)
        elif isinstance(value, str) and name != "role":
            said[name] = said.get(name, "") + value
        elif value not in (None, []):
            said[name] = value
    said |= {name: v for name, v in choice.items() if name not in _SAID and v is not None}


def _text(choice: dict[str, Any]) -> dict[str, Any]:
    """What a choice of completions says."""
    return {name: choice[name] for name in ("text", "reasoning_content") if name in choice}


def _note_call(said: dict[str, Any], call: dict[str, Any]) -> None:
    function = call.get("function") or {}
    for name in ("name", "arguments"):
        given = function.get(name)
        said[name] = said.get(name, "") + (json.dumps(given) if isinstance(given, dict) else given or "")
    said |= {name: call[name] for name in ("id", "type") if call.get(name)}
