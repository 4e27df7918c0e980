"""What LiteLLM does on a client's texts, and which has been given a bound."""

import re
from collections.abc import Callable

import litellm
import pytest
from litellm.litellm_core_utils import secret_redaction
from litellm.litellm_core_utils.prompt_templates import common_utils
from litellm.litellm_core_utils.token_counter import token_counter as litellms_counter
from litellm.llms.anthropic.common_utils import AnthropicError
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from scalix.domain.tokens.text_tokens import text_tokens
from scalix.litellm_adapter import bounded_work
from scalix.litellm_adapter.bounded_work import AT_ONCE_CHARACTERS, LONGEST_MESSAGE, LONGEST_PATTERN, bound_work


@pytest.fixture(autouse=True)
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM is as it was, after the test."""
    for module in bounded_work._COUNTERS:
        monkeypatch.setattr(f"{module}.token_counter", litellms_counter)
    monkeypatch.setattr(common_utils, "_is_not_python_regex", common_utils._is_not_python_regex)
    for name in ("_SECRET_RE", "_python_redact_internal_details"):
        monkeypatch.setattr(secret_redaction, name, getattr(secret_redaction, name))
    bound_work()


@pytest.mark.parametrize("pattern", ["^a+$", "(?<=a)b", "\\p{Cc}", "(", "[a-", "(?P<x>a)(?P=x)", "a{3,2}", "\\d{1,3}"])
def test_the_patterns_that_python_can_read_stay_and_the_others_go_as_before(pattern: str) -> None:
    try:
        re.compile(pattern)
        readable = True
    except re.error:
        readable = False
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    kept = common_utils.drop_non_python_regex_patterns(schema)
    assert ("pattern" in kept["properties"]["a"]) is readable


@pytest.mark.parametrize("pattern", ["a" * (LONGEST_PATTERN + 1), "(?i)[\\x00-\\U0010ffff]", "a{99999999999999}"])
def test_no_pattern_is_compiled(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(*args: object) -> None:
        raise AssertionError("a client's pattern was compiled")

    monkeypatch.setattr(re, "compile", compiled)
    common_utils.drop_non_python_regex_patterns({"properties": {"a": {"pattern": pattern}}})


def test_what_litellm_counts_is_exact_for_short_texts_and_estimated_for_long_ones() -> None:
    text = "some words of a short text"
    assert litellm.token_counter(model="gpt-4o", text=text) == litellms_counter(model="gpt-4o", text=text)
    long = "word " * AT_ONCE_CHARACTERS
    assert litellm.token_counter(model="gpt-4o", text=long) == text_tokens(long)
    messages = [{"role": "user", "content": "word"}] * 5_000
    assert litellm.token_counter(model="gpt-4o", messages=messages) >= 5_000


def test_no_image_is_fetched_to_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*args: object, **options: object) -> None:
        raise AssertionError("an image was fetched")

    monkeypatch.setattr("litellm.litellm_core_utils.token_counter.get_image_dimensions", fetched)
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}}
    assert litellm.token_counter(model="gpt-4o", messages=[{"role": "user", "content": [part]}]) > 0


@pytest.mark.parametrize("function", [secret_redaction.redact_string, secret_redaction.redact_internal_details])
def test_secrets_are_looked_for_in_the_beginning_of_a_message_only(function: Callable[[str], str]) -> None:
    assert len(function("a." * 1_000_000)) < 20_000
    assert "sk-0123456789abcdefghij" not in function("refused: sk-0123456789abcdefghij " + "a." * LONGEST_MESSAGE)


def test_errors_of_litellm_repeat_the_beginning_only_of_what_was_wrong() -> None:
    long = "a." * 1_000_000
    for error in (
        litellm.BadRequestError(message=long, model="m", llm_provider="p"),
        litellm.APIConnectionError(message=long, model="m", llm_provider="p"),
        BaseLLMException(400, long),
        AnthropicError(400, long),
    ):
        assert len(str(error)) < 4 * LONGEST_MESSAGE
    assert "too long" in str(litellm.BadRequestError(message="too long", model="m", llm_provider="p"))
