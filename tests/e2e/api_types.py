"""OpenAI's answers and events by a table of their types: which keys each must have, and which may be null.

The table (`tests/cases/openai_types.json`) was made from OpenAI's API description of November 2026: of each type the
keys, with what they may be, and `?` behind those that may be missing.
"""

import json
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent.parent / "cases" / "openai_types.json"
TYPES: dict[str, dict[str, str]] = json.loads(_TABLE.read_text(encoding="utf-8"))
# Where OpenAI itself does not keep to it.
TYPES["CreateCompletionResponse.choices.one"]["finish_reason"] += "|null"  # in all chunks of a stream but the last
TYPES["CreateCompletionResponse"]["usage"] = "CompletionUsage|null?"
TYPES["Response"]["usage"] = "ResponseUsage|null?"  # until it is completed
TYPES["Response"]["user"] = "string|null?"
EVENTS = {
    shape["type"].strip("'"): name
    for name, shape in TYPES.items()
    if name.startswith("Response") and name.endswith("Event") and shape.get("type", "").startswith("'")
}
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "null": (type(None),),
    "any": (object,),
}


def faults(kind: str, value: Any, at: str = "") -> list[str]:
    """What is wrong with `value` as one of `kind`, such as `Response` or `[string]|null`."""
    found = [_faults(one, value, at) for one in _alternatives(kind)]
    return min(found, key=_badness) if found else []


def _badness(found: list[str]) -> tuple[bool, int]:
    return (any(fault.startswith("!") for fault in found), len(found))


def _faults(kind: str, value: Any, at: str) -> list[str]:
    if kind.startswith("'"):
        return [] if value == kind[1:-1] else [f"!{at}: {value!r} is not {kind}"]
    if kind.startswith("["):
        if not isinstance(value, list):
            return [f"!{at}: not a list"]
        return [fault for index, one in enumerate(value) for fault in faults(kind[1:-1], one, f"{at}[{index}]")]
    if kind in _KINDS:
        is_right = isinstance(value, _KINDS[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))
        return [] if is_right else [f"!{at}: {value!r} is not {kind}"]
    return _faults_of_type(TYPES[kind], value, at) if isinstance(value, dict) else [f"!{at}: not an object"]


def _faults_of_type(shape: dict[str, str], value: dict[str, Any], at: str) -> list[str]:
    found = []
    for key, spec in shape.items():
        if key in value:
            wrong = faults(spec.removesuffix("?"), value[key], f"{at}.{key}")
            # Another type altogether: its `type` says so.
            found += wrong if key in ("type", "object") else [fault.lstrip("!") for fault in wrong]
        elif not spec.endswith("?"):
            found.append(f"{at}.{key} is missing")
    return found


def _alternatives(kind: str) -> list[str]:
    depth, parts = 0, [""]
    for letter in kind:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """The events of a stream: their `event:` line, and their data parsed (`[DONE]` left out)."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = block.split("\n")
        name = next((line[6:].strip() for line in lines if line.startswith("event:")), None)
        data = next((line[5:].strip() for line in lines if line.startswith("data:")), None)
        if data and data != "[DONE]":
            found.append((name, json.loads(data)))
    return found


def faults_of_answer(route: str, text: str, *, streamed: bool) -> list[str]:
    """What is wrong with an answer of a route, whole or streamed, as OpenAI describes it."""
    whole = {
        "chat": "CreateChatCompletionResponse",
        "completions": "CreateCompletionResponse",
        "embeddings": "CreateEmbeddingResponse",
        "responses": "Response",
    }[route]
    if not streamed:
        return faults(whole, json.loads(text))
    found: list[str] = []
    numbers = []
    for name, event in events_of(text):
        if route != "responses":
            found += faults("CreateChatCompletionStreamResponse" if route == "chat" else whole, event)
            continue
        kind = event.get("type")
        numbers.append(event.get("sequence_number"))
        found += [f"event: {name} for {kind}"] if name != kind else []
        found += [f"{kind} has a model"] if "model" in event else []
        found += faults(EVENTS[kind], event, kind) if kind in EVENTS else [f"{kind} is not known"]
    if numbers != sorted(set(numbers)):
        found.append(f"numbers {numbers}")
    return found
