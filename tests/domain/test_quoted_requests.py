"""What a provider quotes of a request is not kept with its reason."""

import json

import pytest

from scalix.domain.redaction.quoted_requests import MOST_SEARCHED_BYTES, without_quotes


def request(text: str) -> bytes:
    return json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": text}]}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "prompt",
    [
        "purple elephants",
        'my plan about "purple elephants"\nis fine',
        "紫色的大象在跳舞",
        "canary0815",
        "Überraschung für Grace",
    ],
)
@pytest.mark.parametrize("before", ["", "Words of many things that matter to nobody. " * 200])
def test_no_word_of_the_prompt_that_tells_something_stays(prompt: str, before: str) -> None:
    words = [word for word in prompt.replace('"', " ").split() if len(word) >= 10 or not word.isascii()]
    kept = without_quotes(f"Invalid prompt: {prompt}. Please change it", request(before + prompt), ())
    assert "[…]" in kept or (before and prompt == "purple elephants")
    assert not [word for word in words if word in kept]
    assert kept.startswith("Invalid prompt: ")


def test_a_long_quote_of_a_long_request_is_gone_whatever_its_words() -> None:
    prompt = "tell me all of it in the end"
    assert without_quotes(f"I got: {prompt}", request("x y z " * 2000 + prompt), ()) == "I got: […]"


def test_a_message_that_quotes_nothing_stays_as_it_is() -> None:
    message = "The server 'model' had an error. Try again: in 20 s!"
    assert without_quotes(message, request("hello there, my model friend"), {"model"}) == message


def test_a_request_that_is_too_long_to_be_searched_leaves_nothing() -> None:
    assert without_quotes("overloaded", b"x" * (MOST_SEARCHED_BYTES + 1), ()) == ""
