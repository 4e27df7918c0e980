"""Which deployment has a conversation's prefix in its cache: chosen by rendezvous hashing, so nothing is kept."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scalix.domain.deployments import Deployment, weights_of

LEAST_TOKENS = 1_024
"""Shorter prompts are in no provider's cache."""
_MOST_OVER_MEAN = 1.25
_FEW = 4  # requests in flight that no deployment is too busy with
_MARK = "cache_control"  # it moves on with each turn


def start_of(body: Mapping[str, Any]) -> list[Any]:
    """What all turns of a conversation begin with: model, system, tools, and messages up to the user's first."""
    start = [body.get("model"), _unmarked(body.get("system")), body.get("instructions"), _unmarked(body.get("tools"))]
    messages = body.get("messages", body.get("input"))
    if not isinstance(messages, list):
        return [*start, messages]
    for message in messages:
        if not isinstance(message, dict):
            start.append(message)
            continue
        start.append({**_without_mark(message), "content": _unmarked(message.get("content"))})
        if message.get("role") == "user":
            break
    return start


def conversation_of(key: bytes, subject: str, start: bytes) -> bytes:
    """By what a conversation is known: a digest with a secret of ours (`key`, at most 64 bytes), one for each user."""
    return hashlib.blake2b(subject.encode() + b"\0" + start, key=key, digest_size=16).digest()


def by_rendezvous(deployments: Sequence[Deployment], conversation: bytes) -> list[Deployment]:
    """The deployments of one conversation, the one it belongs to first. By weight; without one that is gone, only its
    conversations go elsewhere."""
    weights = weights_of(deployments)

    def score(one: Deployment) -> float:
        number = int.from_bytes(hashlib.blake2b(one.id.encode(), key=conversation, digest_size=6).digest(), "big")
        return -weights[one.id] / math.log((number + 0.5) / 2**48)

    return sorted((one for one in deployments if weights[one.id] > 0), key=score, reverse=True)


def with_room(ranked: Sequence[Deployment], in_flight: Callable[[str], float]) -> Deployment:
    """The first that would not have more than 1.25 times its share of the requests in flight."""
    weights = weights_of(ranked)
    busy = {one.id: in_flight(one.id) + 1 for one in ranked}
    each = (sum(busy.values()) - len(busy) + 1) / sum(weights.values())
    for one in ranked:
        if busy[one.id] <= max(_FEW, _MOST_OVER_MEAN * each * weights[one.id]):
            return one
    return ranked[0]


def _unmarked(value: Any) -> Any:
    return [_without_mark(part) for part in value] if isinstance(value, list) else value


def _without_mark(part: Any) -> Any:
    return {name: value for name, value in part.items() if name != _MARK} if isinstance(part, dict) else part
