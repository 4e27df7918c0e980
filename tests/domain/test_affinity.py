"""Which deployment a conversation belongs to: shares, removals, load, and what counts as one conversation."""

import json
from collections import Counter
from typing import Any

import pytest

from scalix.domain.affinity import by_rendezvous, conversation_of, start_of, with_room
from scalix.domain.deployments import Deployment

KEY = b"k" * 32
THREE = [Deployment(f"m#{number}", "openai/m", weight=weight) for number, weight in enumerate((3, 2, 1), 1)]


def conversation(number: int) -> bytes:
    return conversation_of(KEY, "user:u", b"%d" % number)


@pytest.mark.parametrize("weights", [(3, 2, 1), (1, 1, 1), (0, 0, 0), (5, 1, 0)])
def test_ten_thousand_conversations_are_shared_by_weight_within_a_point(weights: tuple[int, ...]) -> None:
    made = [Deployment(f"m#{number}", "openai/m", weight=weight) for number, weight in enumerate(weights, 1)]
    shares = Counter(by_rendezvous(made, conversation(number))[0].id for number in range(10_000))
    due = weights if any(weights) else (1, 1, 1)
    for one, weight in zip(made, due, strict=True):
        assert abs(shares[one.id] / 100 - 100 * weight / sum(due)) < 1, shares


def test_one_that_is_gone_takes_only_its_own_conversations_along() -> None:
    for number in range(1_000):
        before = by_rendezvous(THREE, conversation(number))
        for gone in THREE:
            after = by_rendezvous([one for one in THREE if one is not gone], conversation(number))
            assert after[0] is (before[1] if gone is before[0] else before[0])


def test_one_that_has_over_a_quarter_more_than_its_share_is_passed_over() -> None:
    first, second, third = [Deployment(name, "openai/m") for name in "abc"]
    ranked = [first, second, third]
    assert with_room(ranked, {"a": 3, "b": 0, "c": 0}.__getitem__) is first  # a few are no load
    assert with_room(ranked, {"a": 4, "b": 0, "c": 0}.__getitem__) is second
    assert with_room(ranked, {"a": 12, "b": 10, "c": 10}.__getitem__) is first
    assert with_room(ranked, {"a": 13, "b": 10, "c": 8}.__getitem__) is second
    assert with_room(ranked, {"a": 13, "b": 13, "c": 4}.__getitem__) is third


def test_the_bound_goes_by_weight() -> None:
    in_flight = {"m#1": 15, "m#2": 10, "m#3": 5}.__getitem__
    assert [with_room([one, *THREE], in_flight) for one in THREE] == THREE
    crowded = {"m#1": 10, "m#2": 10, "m#3": 10}.__getitem__
    assert with_room(list(reversed(THREE)), crowded) is THREE[1]


def test_another_user_and_another_secret_make_another_conversation() -> None:
    made = {conversation_of(key, user, b"same") for key in (KEY, b"other") for user in ("user:a", "user:b")}
    assert len(made) == 4
    assert conversation_of(KEY, "user:a", b"same") in made


TURNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat": (
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}]},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}, {"role": "assistant"}]},
    ),
    "messages, with a mark that moves on": (
        {"system": "s", "messages": [{"role": "user", "content": [{"text": "1", "cache_control": {}}]}]},
        {"system": "s", "messages": [{"role": "user", "content": [{"text": "1"}]}, {"role": "user", "content": "2"}]},
    ),
    "responses": (
        {"instructions": "s", "input": [{"role": "user", "content": "1"}], "max_output_tokens": 1},
        {"instructions": "s", "input": [{"role": "user", "content": "1"}, {"type": "reasoning"}]},
    ),
}


@pytest.mark.parametrize("kind", TURNS)
def test_turns_of_a_conversation_begin_alike(kind: str) -> None:
    first, later = TURNS[kind]
    assert json.dumps(start_of(first)) == json.dumps(start_of(later))


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n"},
        {"system": "t"},
        {"tools": [{"name": "u"}]},
        {"instructions": "i"},
        {"messages": [{"role": "user", "content": "2"}]},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}]},
    ],
)
def test_another_beginning_is_another_conversation(other: dict[str, Any]) -> None:
    body = {"model": "m", "system": "s", "tools": [{"name": "t"}], "messages": [{"role": "user", "content": "1"}]}
    assert start_of(body) != start_of({**body, **other})


@pytest.mark.parametrize("messages", ["text", ["text", 3, None], [], None, {}])
def test_odd_messages_are_a_beginning_too(messages: object) -> None:
    assert len(start_of({"messages": messages})) >= 4
