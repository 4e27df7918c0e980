"""What a provider of OpenAI's format has answered is completed for clients, and keeps what it says."""

from typing import Any

import pytest

from scalix.domain.answers.passed_chat import PassedChat, known_finish

HEAD = {"id": "c1", "object": "chat.completion", "created": 7, "model": "the-providers"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def chat(*, with_usage: bool = False) -> PassedChat:
    return PassedChat("public", lambda prefix: f"{prefix}made", lambda: 99, with_usage=with_usage)


def whole(message: Any = None, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    answer = {**HEAD, "choices": choices, "usage": dict(USAGE), **more}
    chat().whole(answer)
    return answer


def chunks(*given: dict[str, Any], with_usage: bool = False) -> list[dict[str, Any]]:
    passing = chat(with_usage=with_usage)
    return [made for one in given for made in passing.chunks({**HEAD, **one})]


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def call(**more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def test_what_a_provider_says_beside_the_format_is_kept() -> None:
    extra = {"system_fingerprint": "fp", "citations": ["https://a.test"], "service_tier": "flex"}
    answer = whole({"role": "assistant", "content": None, "refusal": "No"}, **extra)
    assert extra.items() <= answer.items()
    assert answer["choices"][0]["message"]["refusal"] == "No"
    (chunk,) = chunks({**delta(content="Hi"), **extra})
    assert extra.items() <= chunk.items()


def test_the_model_is_the_public_one_and_a_stream_has_one_id_whatever_its_chunks_say() -> None:
    made = chunks({**delta(content="a"), "id": "c2"}, {**delta(content="b"), "id": "c3", "created": 8})
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in made} == {("c2", 7, "public")}


@pytest.mark.parametrize("given", [None, "", 7, []])
def test_an_id_is_made_where_there_is_none(given: Any) -> None:
    assert whole({"content": "Hi"}, id=given)["id"] == "chatcmpl-made"


@pytest.mark.parametrize(("given", "kept"), [(7.9, 7), (None, 99), ("7", 99), (-1, 99), (float("inf"), 99)])
def test_a_time_is_a_whole_number(given: Any, kept: int) -> None:
    assert whole({"content": "Hi"}, created=given)["created"] == kept


def test_what_is_between_the_operator_and_its_provider_is_not_shown() -> None:
    cost = {"cost": 1, "cost_details": {"x": 1}, "is_byok": True, "cost_in_usd_ticks": 9, "estimated_cost": 1}
    secret = {"provider": "Somebody", "x_groq": {"id": "r"}, "kv_transfer_params": {"remote_host": "10.0.0.7"}}
    answer = whole({"content": "Hi"}, usage={**USAGE, **cost}, **secret)
    assert answer["usage"] == USAGE
    assert not secret.keys() & answer.keys()
    made = chunks({**delta(content="Hi"), **secret, "usage": {**USAGE, **cost}}, with_usage=True)
    assert made[-1]["usage"] == USAGE
    assert not any(secret.keys() & chunk.keys() for chunk in made)


def test_a_tier_of_service_is_one_that_openai_has() -> None:
    odd: tuple[Any, ...] = ("on_demand", 7, [], None)
    for given in odd:
        assert "service_tier" not in whole({"content": "Hi"}, service_tier=given)


def test_thoughts_have_the_name_that_most_clients_read() -> None:
    answer = whole({"content": "Hi", "reasoning": "so"})
    assert answer["choices"][0]["message"]["reasoning_content"] == "so"
    (chunk,) = chunks(delta(reasoning="so"))
    assert chunk["choices"][0]["delta"]["reasoning_content"] == "so"
    (empty,) = chunks(delta(reasoning="", content="Hi"))
    assert "reasoning_content" not in empty["choices"][0]["delta"]


@pytest.mark.parametrize("tag", ["think", "thinking"])
def test_thoughts_in_tags_are_taken_out_of_a_whole_text(tag: str) -> None:
    message = whole({"content": f"<{tag}>so</{tag}>Hi"})["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("so", "Hi")
    other = f"in the middle <{tag}>so</{tag}>"
    assert whole({"content": other})["choices"][0]["message"]["content"] == other


def test_calls_have_an_id_a_type_and_arguments_that_are_a_text() -> None:
    bare = {"function": {"name": "f", "arguments": {"a": "ü"}}}
    answer = whole({"content": None, "tool_calls": [bare]})
    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_made", "type": "function", "function": {"name": "f", "arguments": '{"a": "ü"}'}}
    ]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


def test_only_the_first_delta_of_a_call_gets_an_id() -> None:
    first, second = {"index": 0, "function": {"name": "f"}}, {"index": 0, "function": {"arguments": "{}"}}
    made = chunks(delta(tool_calls=[first]), delta(tool_calls=[second]))
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in made]
    assert [(one.get("id"), one.get("type")) for one in calls] == [("call_made", "function"), (None, None)]


@pytest.mark.parametrize(
    ("given", "known"),
    [("stop", "stop"), ("eos_token", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"), ("odd", "stop")],
)
def test_an_answer_ends_for_a_reason_that_openai_knows(given: str, known: str) -> None:
    assert known_finish(given) == known
    assert whole({"content": "Hi"}, finish=given)["choices"][0]["finish_reason"] == known
    (chunk,) = chunks(delta(finish=given))
    assert chunk["choices"][0]["finish_reason"] == known


def test_the_usage_comes_last_and_alone_to_who_has_asked_for_it() -> None:
    given: tuple[dict[str, Any], ...] = (delta(content="Hi"), {**delta(finish="stop"), "usage": USAGE})
    made = chunks(*given, with_usage=True)
    assert [(len(chunk["choices"]), chunk.get("usage")) for chunk in made] == [(1, None), (1, None), (0, USAGE)]
    assert [chunk.get("usage") for chunk in chunks(*given)] == [None, None]
    assert len(chunks(delta(content="Hi"), {"choices": [], "usage": USAGE})) == 1


def test_a_usage_without_a_sum_gets_one() -> None:
    assert whole({"content": "Hi"}, usage={"prompt_tokens": 7, "completion_tokens": 5})["usage"]["total_tokens"] == 12


def test_what_was_cached_has_the_name_that_openai_gives_it() -> None:
    usage = whole({"content": "Hi"}, usage={**USAGE, "prompt_cache_hit_tokens": 4})["usage"]
    assert (usage["prompt_tokens_details"], usage["prompt_cache_hit_tokens"]) == ({"cached_tokens": 4}, 4)


@pytest.mark.parametrize("odd", [None, [], "12"])
def test_a_usage_that_is_none_is_left_out(odd: Any) -> None:
    assert "usage" not in whole({"content": "Hi"}, usage=odd)


def test_a_stream_that_says_nothing_but_its_usage_is_no_empty_one() -> None:
    (made,) = chunks({"choices": [], "usage": USAGE})
    assert (made["choices"], "usage" in made) == ([], False)


def test_nulls_that_openai_does_not_send_are_left_out_of_chunks() -> None:
    bare = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": None}}
    (made,) = chunks({**delta(content=None, refusal=None, audio=None, tool_calls=[bare]), "system_fingerprint": None})
    assert made["choices"][0]["delta"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{**bare, "function": {"name": "f"}}],
    }
    assert "system_fingerprint" not in made
    (made,) = chunks(delta(content="Hi", tool_calls=None))
    assert made["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}


def test_chunks_without_a_choice_pass() -> None:
    (made,) = chunks({"choices": [], "prompt_filter_results": [{"index": 0}]})
    assert made["prompt_filter_results"] == [{"index": 0}]


def test_of_an_error_in_a_stream_nothing_else_is_left_by_which_it_might_not_be_seen() -> None:
    assert chunks({"error": {"message": "no"}, "choices": []}) == [{"error": {"message": "no"}}]


@pytest.mark.parametrize("odd", [None, 7, "x", {}, [None], [[]], [{"delta": 7}], [{"delta": {"tool_calls": [7]}}]])
def test_choices_of_an_odd_shape_do_no_harm(odd: Any) -> None:
    assert all(isinstance(chunk["choices"], list) for chunk in chunks({"choices": odd}))
    answer = {**HEAD, "choices": odd}
    chat().whole(answer)
    assert answer["model"] == "public"
