"""The load of large prompts: conversations of 50,000 to 100,000 tokens, every other answer a stream."""

from dataclasses import replace
from typing import Any

from benchmarks.generator import Request
from benchmarks.loads.base import SYSTEM, Entry, Load
from benchmarks.measure import Contender
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import ALL_LIMITS
from tests.cases.token_counts import COUNTS, TEXTS

SIZES_TOKENS = range(50_000, 100_001, 10_000)
_MESSAGES = 13
_COUNTED = COUNTS["gpt-4o"]
_NAMES = ("code", "english", "json", "code", "german")
_PIECE = "\n\n".join(TEXTS[name] for name in _NAMES)
_CHARACTERS_PER_TOKEN = len(_PIECE) / sum(_COUNTED[name][0] for name in _NAMES)


def conversation(number: int, tokens: int, directive: str) -> list[dict[str, str]]:
    """Messages of about `tokens` tokens by GPT-4o's tokenizer. Each `number` has texts of its own."""
    each = round(tokens * _CHARACTERS_PER_TOKEN / _MESSAGES)
    messages = [{"role": "system", "content": SYSTEM}]
    for turn in range(_MESSAGES):
        begin = (number * 997 + turn * 4_099) % len(_PIECE)
        text = f"Part {turn} of {number}.\n{(_PIECE[begin:] + _PIECE * (1 + each // len(_PIECE)))[:each]}"
        messages.append({"role": "assistant" if turn % 2 else "user", "content": text})
    messages[-1]["content"] += f"\n{directive}"
    return messages


class LargePrompts(Load):
    """Two conversations of each size, one of them streamed, in turn."""

    __slots__ = ()

    def contender(
        self, entry: Entry, title: str, running: Running, requests: int, text: str | None = None
    ) -> Contender:
        """See `Load`."""
        made = Load.contender(self, entry, title, running, requests)
        bodies: list[dict[str, Any]] = [
            {**self.body(running.model, entry), "messages": conversation(2 * at + half, tokens, self.directive)}
            | ({"stream": True} if half else {})
            for at, tokens in enumerate(SIZES_TOKENS)
            for half in (0, 1)
        ]
        headers = {**running.headers, **entry.headers}
        asked = [Request.build(running.port, "POST", entry.path, headers, body) for body in bodies]
        return replace(made, request=Request.circle(asked), streamed=0.5)


LARGE_PROMPT = LargePrompts(
    name="large-prompt",
    title="Large prompts",
    about=(
        f"Conversations of {SIZES_TOKENS[0]:,} to {SIZES_TOKENS[-1]:,} tokens (code, prose, JSON; no two alike), "
        "20 words of answer, every other one as a stream. The gateway's user has limits of requests, tokens, dollars "
        "and requests at once. A whole core does 1,000 divided by the CPU time requests a second; LiteLLM's own "
        "documentation states 22.7 per vCPU for such a load, on machines of its own."
    ),
    entries=(
        Entry("litellm-packages"),
        Entry("litellm-redis"),
        Entry("vllm-router"),
        Entry("sglang-router"),
        Entry("gateway-litellm", "", {"user": ALL_LIMITS}),
        Entry("gateway", "", {"user": ALL_LIMITS}),
    ),
    requests=48,
    quick_requests=24,
    directive="[[demo words=20]]",
)
