"""Providers that keep prompts in a cache, each its own, as vLLM, OpenAI and others do: the longest beginning of a
prompt that one has had lately is read from there, and said in its usage."""

import threading
from collections import Counter, OrderedDict
from typing import Any

from tests.e2e.scripted_provider import Answer, whole

# As OpenAI has it: the least prompt that is cached, and the step in which it is.
LEAST_TOKENS, STEP_TOKENS = 1_024, 128
_CHARACTERS_PER_TOKEN = 4


class PrefixCaches:
    """The caches of all places, of `capacity_tokens` each; what was used least lately goes first. A place is the path's
    first letter.
    `cacheable_tokens` are those that had been sent before, to any place, in the same conversation."""

    def __init__(self, capacity_tokens: int) -> None:
        self._capacity_tokens = capacity_tokens
        self._kept: dict[str, OrderedDict[str, list[str]]] = {}
        self._sent: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """As at the beginning."""
        self.requests: Counter[str] = Counter()
        self.cacheable_tokens = self.cached_tokens = 0
        self._kept.clear()
        self._sent.clear()

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        """An answer of one word, with what was cached in its usage."""
        texts = [f"{one['role']} {one['content']}" for one in body["messages"]]
        with self._lock:
            cached = self._read(path[1], texts)
        usage = {
            "prompt_tokens": tokens_of(texts),
            "completion_tokens": 1,
            "total_tokens": tokens_of(texts) + 1,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        return whole(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        )

    def _read(self, place: str, texts: list[str]) -> int:
        """The tokens of `texts` that the place has cached; from now on it has all of them."""
        kept, name = self._kept.setdefault(place, OrderedDict()), texts[0]
        cached = _in_steps(tokens_of(_beginning(kept.pop(name, []), texts)))
        kept[name] = texts
        while sum(map(tokens_of, kept.values())) > self._capacity_tokens:
            kept.popitem(last=False)
        self.requests[place] += 1
        self.cached_tokens += cached
        self.cacheable_tokens += _in_steps(tokens_of(_beginning(self._sent.get(name, []), texts)))
        self._sent[name] = texts
        return cached


def tokens_of(texts: list[str]) -> int:
    """Four characters each."""
    return sum(map(len, texts)) // _CHARACTERS_PER_TOKEN


def _in_steps(tokens: int) -> int:
    return tokens // STEP_TOKENS * STEP_TOKENS if tokens >= LEAST_TOKENS else 0


def _beginning(one: list[str], other: list[str]) -> list[str]:
    """What both begin with."""
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:same]
