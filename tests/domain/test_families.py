"""A prompt's count by the tokenizer that comes nearest is never below the family's own, and close to it."""

import pytest

from scalix.domain.tokens.families import FAMILIES, Family, family_of
from scalix.litellm_adapter.tokenizers import tokenizer
from tests.cases.token_counts import COUNTS, TEXTS

SINGLE_PROMPT = 0.95  # of a day's tokens that can be one prompt
# Not in the tier that is given away, and less is known of them.
ROOMIER = {"Claude, to 4.6": 1.08, "Claude, from 4.7 on": 1.13, "others": 1.18}
OLDER = {"gemini/gemini-1.5-flash": 1.07}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("model", COUNTS)
def test_the_count_of_a_prompt_is_its_models_own_or_a_little_more(model: str, name: str) -> None:
    family = family_of(model)
    counted = family.tokens(TEXTS[name], tokenizer()(family.encoding, TEXTS[name]))
    true = COUNTS[model][name][0]
    assert true <= counted <= true * (OLDER.get(model) or ROOMIER.get(family.name) or 1 / SINGLE_PROMPT)
    assert not family.is_exact or counted == true


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini", "OpenAI, from GPT-4o on"),
        ("azure/gpt-4.1", "OpenAI, from GPT-4o on"),
        ("openai/o3", "OpenAI, from GPT-4o on"),
        ("openai/gpt-4-turbo", "OpenAI, to GPT-4, and embeddings"),
        ("text-embedding-3-small", "OpenAI, to GPT-4, and embeddings"),
        ("gemini/gemini-2.5-flash", "Gemini, Gemma"),
        ("openrouter/deepseek/deepseek-chat-v3:free", "DeepSeek"),
        ("anthropic/claude-3-opus-20240229", "Claude, to 4.6"),
        ("claude-3-5-sonnet-20241022", "Claude, to 4.6"),
        ("claude-sonnet-4-20250514", "Claude, to 4.6"),
        ("bedrock/anthropic.claude-haiku-4-5-20251001-v1:0", "Claude, to 4.6"),
        ("claude-opus-4-7", "Claude, from 4.7 on"),
        ("claude-sonnet-5", "Claude, from 4.7 on"),
        ("openai/scalix-engine", "others"),
    ],
)
def test_a_models_family_is_known_by_its_name_whoever_serves_it(model: str, family: str) -> None:
    assert family_of(model).name == family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize(("text", "least"), [("\0" * 16_000, 16_000), ("\x1b" * 999, 999), (" " * 16_000, 500)])
def test_runs_that_one_vocabulary_has_whole_are_counted_as_in_one_that_has_not(
    family: Family, text: str, least: int
) -> None:
    encoded = tokenizer()(family.encoding, text)
    assert family.tokens(text, encoded) == encoded if family.is_exact else family.tokens(text, encoded) >= least


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("text", ["", "1" * 3_000, "一" * 3_000, "é" * 3_000, "{}" * 3_000, " " * 3_000])
def test_no_text_counts_as_less_than_half_of_what_it_was_encoded_as(family: Family, text: str) -> None:
    encoded = tokenizer()(family.encoding, text)
    assert -(-encoded // 2) <= family.tokens(text, encoded) <= max(encoded, len(text.encode()))
