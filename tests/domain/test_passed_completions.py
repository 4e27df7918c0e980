"""What a provider of OpenAI's format has answered to completions, or to a chat in their place, is a text."""

from typing import Any

import pytest

from scalix.domain.answers.passed_completions import PassedCompletions

HEAD = {"id": "c1", "object": "text_completion", "created": 7, "model": "the-providers"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
LOGPROBS = {"tokens": ["Hi"], "token_logprobs": [-0.1], "top_logprobs": [{"Hi": -0.1}], "text_offset": [0]}


def texts(*, with_usage: bool = False) -> PassedCompletions:
    return PassedCompletions("public", lambda prefix: f"{prefix}made", lambda: 99, with_usage=with_usage)


def whole(*choices: Any, **more: Any) -> dict[str, Any]:
    answer = {**HEAD, "choices": list(choices), "usage": dict(USAGE), **more}
    texts().whole(answer)
    return answer


def chunks(*given: dict[str, Any], with_usage: bool = False) -> list[dict[str, Any]]:
    passing = texts(with_usage=with_usage)
    return [made for one in given for made in passing.chunks({**HEAD, **one})]


def test_a_text_keeps_all_that_is_said_of_it_under_the_models_public_name() -> None:
    choice = {"index": 0, "text": "Hi", "logprobs": LOGPROBS, "finish_reason": "length", "stop_reason": None}
    assert whole(dict(choice), system_fingerprint="fp") == {
        **HEAD,
        "model": "public",
        "choices": [choice],
        "usage": USAGE,
        "system_fingerprint": "fp",
    }
    (chunk,) = chunks({"choices": [dict(choice)]})
    assert (chunk["object"], chunk["choices"]) == ("text_completion", [choice])


def test_an_id_is_made_where_there_is_none() -> None:
    assert whole({"text": "Hi"}, id=None)["id"] == "cmpl-made"


def test_each_choice_has_its_number_its_text_and_an_end() -> None:
    answer = whole({"text": "a"}, {"text": None, "finish_reason": "eos"}, {"index": 7, "finish_reason": "tool_calls"})
    assert [(one["index"], one["text"], one["finish_reason"]) for one in answer["choices"]] == [
        (0, "a", "stop"),
        (1, "", "stop"),
        (7, "", "stop"),
    ]
    (chunk,) = chunks({"choices": [{"text": "a"}]})
    assert chunk["choices"] == [{"index": 0, "text": "a", "finish_reason": None}]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"content": "Hi"}, {"text": "Hi"}),
        ({"content": None}, {"text": ""}),
        ({"content": "Hi", "reasoning": "so"}, {"text": "Hi", "reasoning_content": "so"}),
        ({"content": "Hi", "refusal": None, "tool_calls": []}, {"text": "Hi"}),
    ],
)
def test_a_chat_is_a_text(said: dict[str, Any], text: dict[str, Any]) -> None:
    beside = {"index": 0, "logprobs": None, "finish_reason": "stop"}
    chat = {"index": 0, "logprobs": {"content": [], "refusal": None}, "finish_reason": "stop"}
    answer = whole({**chat, "message": {"role": "assistant", **said}})
    (chunk,) = chunks({"choices": [{**chat, "delta": {"role": "assistant", **said}}]})
    assert answer["choices"] == chunk["choices"] == [{**beside, **text}]


def test_thoughts_in_tags_are_taken_out_of_a_chat_and_left_in_a_text() -> None:
    said = "<think>so</think>Hi"
    answer = whole({"message": {"content": said}}, {"text": said})
    assert [(one["text"], one.get("reasoning_content")) for one in answer["choices"]] == [("Hi", "so"), (said, None)]


def test_a_null_beside_a_text_is_no_chat() -> None:
    assert whole({"text": "Hi", "message": None})["choices"][0]["text"] == "Hi"


def test_a_chunk_that_says_nothing_has_an_empty_text() -> None:
    (chunk,) = chunks({"choices": [], "prompt_filter_results": []})
    assert chunk["choices"] == [{"index": 0, "text": "", "finish_reason": None}]


def test_the_usage_comes_last_and_alone_to_who_has_asked_for_it() -> None:
    last = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": dict(USAGE)}
    assert [one.get("usage") for one in chunks(dict(last), with_usage=True)] == [None, USAGE]
    assert [one.get("usage") for one in chunks(dict(last))] == [None]
    assert chunks(dict(last), {"choices": [], "usage": dict(USAGE)})[1:] == []
