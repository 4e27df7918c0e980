"""Plans a whole answer before its first byte is sent: deltas, finish reason and token figures."""

import itertools
import secrets
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from scalix_demo.problem import BadRequestError
from scalix_demo.prompts import Prompt, output_cap, whole_number
from scalix_demo.script import Script
from scalix_demo.wishes import Wish

SENTENCE: Final = "This answer comes from the demo provider of the Scalix gateway, no model was asked. "
THOUGHT: Final = "The user asks the demo provider, which has nothing to think about."
_WORDS = SENTENCE.split()
_JSON_PIECE_CHARS = 12
_RUN = secrets.token_hex(4)
_numbers = itertools.count(1)
_FIGURE_MODES: Final[dict[str, Any]] = {"huge": 10**12, "string": "many", "zero": 0}


@dataclass(slots=True)
class Plan:
    """One answer. `choices` counts all texts of the answer; each gets every delta of `deltas`."""

    route: str
    model: str
    stream: bool
    include_usage: bool
    script: Script
    choices: int
    deltas: tuple[str, ...]
    tool: str | None  # the name of the function called, where the answer is a call
    finish: str
    prompt_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    thought: str  # the visible part of the reasoning
    completion_tokens: int
    inputs: int
    ident: str
    created: int

    @property
    def total_deltas(self) -> int:
        return self.choices * len(self.deltas)

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    def completion_tokens_after(self, deltas: int) -> int:
        """The output tokens after `deltas` deltas; all of the answer's once it is complete."""
        if deltas >= self.total_deltas:
            return self.completion_tokens
        return deltas + self.reasoning_tokens

    def figure(self, tokens: int) -> Any:
        """What the answer says instead of `tokens`, if the directive `usage` falsifies it."""
        mode = self.script.usage
        if mode == "negative":
            return -max(tokens, 1)
        return _FIGURE_MODES.get(mode, tokens)

    def with_usage(self, answer: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        """`answer` with `usage` in it, unless the directive `usage` says `none` or `null`."""
        if self.script.usage == "null":
            answer["usage"] = None
        elif self.script.usage != "none":
            answer["usage"] = usage
        return answer


def make_plan(route: str, body: dict[str, Any], model: str, prompt: Prompt, script: Script, wish: Wish) -> Plan:
    """The answer to `body` under `script`, or as its `wish` is. Raises BadRequestError for wrong parameters."""
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise BadRequestError("stream must be true or false", "stream")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise BadRequestError("stream_options must be an object", "stream_options")
    cap = output_cap(route, body)
    per_prompt = best_of = 1
    if route in {"chat", "completions"}:
        per_prompt = whole_number(body, "n", 128) or 1
        best_of = max(per_prompt, (whole_number(body, "best_of", 128) or 1) if route == "completions" else 1)

    tool = _tool_name(body) if script.tool else wish.tool
    deltas = _deltas(script, script.tool) if wish.json is None else _pieces(wish.json)
    thought = THOUGHT if wish.thinks and not script.reasoning else ""
    reasoning = script.reasoning or len(thought.split())
    if route == "embeddings" or script.empty:
        deltas = ()
    finish = "tool_calls" if tool else "stop"
    if cap is not None:
        reasoning = min(reasoning, cap)
        if len(deltas) > cap - reasoning:
            deltas, finish = deltas[: cap - reasoning], "length"
    made = len(deltas) * best_of * prompt.inputs + reasoning
    prompt_tokens = prompt.tokens if script.prompt_tokens is None else script.prompt_tokens
    return Plan(
        route=route,
        model=model,
        stream=bool(stream) and route != "embeddings",
        include_usage=bool(options and options.get("include_usage")),
        script=script,
        choices=per_prompt * prompt.inputs,
        deltas=deltas,
        tool=tool,
        finish=script.finish or finish,
        prompt_tokens=prompt_tokens,
        cached_tokens=min(script.cached, prompt_tokens),
        reasoning_tokens=reasoning,
        thought=" ".join(thought.split()[:reasoning]),
        completion_tokens=made if script.completion_tokens is None else script.completion_tokens,
        inputs=prompt.inputs,
        ident=f"demo{_RUN}{next(_numbers)}",
        created=int(time.time()),
    )


def _tool_name(body: dict[str, Any]) -> str:
    """The first function that the request offers, in either API's shape."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            function = tool.get("function")
            name = function.get("name") if isinstance(function, dict) else tool.get("name")
            if isinstance(name, str):
                return name
    return "demo_tool"


def _deltas(script: Script, as_arguments: bool) -> tuple[str, ...]:
    return _cut(len(_WORDS) if script.words is None else script.words, script.chunk_chars, as_arguments)


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(text[start : start + _JSON_PIECE_CHARS] for start in range(0, len(text), _JSON_PIECE_CHARS))


@lru_cache(maxsize=256)
def _cut(words: int, chunk_chars: int | None, as_arguments: bool) -> tuple[str, ...]:
    """The sentence, repeated, as `words` deltas (or in pieces of `chunk_chars`); as JSON arguments of a call."""
    deltas = [(" " if number else "") + _WORDS[number % len(_WORDS)] for number in range(words)]
    if as_arguments:
        if not deltas:
            return ("{}",)
        deltas[0] = '{"text":"' + deltas[0]
        deltas[-1] += '"}'
    if chunk_chars:
        text = "".join(deltas)
        deltas = [text[start : start + chunk_chars] for start in range(0, len(text), chunk_chars)]
    return tuple(deltas)
