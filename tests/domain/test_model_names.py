"""What a client may have meant by a model's name."""

import difflib

import pytest

from scalix.domain.requests.model_names import MOST_COMPARED, did_you_mean

NAMES = ["free-gemini-flash", "free-gemini-pro", "scalix-engine", "openai/gpt-5.6-sol", "gpt-4", "claude-opus-5[1m]"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gtp-4", "gpt-4"),
        ("GPT 4", "gpt-4"),
        ("azure/gpt_4", "gpt-4"),
        ("gpt-5.6-sol", "openai/gpt-5.6-sol"),
        ("free-gemini-flsh", "free-gemini-flash"),
        ("scalix_engine", "scalix-engine"),
        ("claude-opus-5", "claude-opus-5[1m]"),
    ],
)
def test_the_nearest_name_is_found_however_it_is_written(typed: str, meant: str) -> None:
    assert did_you_mean(typed, NAMES) == f"Did you mean '{meant}'? "


@pytest.mark.parametrize("typed", ["", "/", "mistral-large", "x" * 1_000_000, "gpt-4" * 20])
def test_what_is_like_none_is_not_guessed(typed: str) -> None:
    assert did_you_mean(typed, NAMES) == ""


def test_few_names_are_compared_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counting(word: str, names: list[str], **how: float) -> list[str]:
        compared.append(len(names))
        return difflib.get_close_matches(word, names, n=1, cutoff=0.6)

    monkeypatch.setattr("scalix.domain.requests.model_names.get_close_matches", counting)
    names = [f"provider/some-model-{number}-with-words" for number in range(100_000)]
    assert did_you_mean("some-model-17-with-wordz", names) == "Did you mean 'provider/some-model-17-with-words'? "
    assert compared == [MOST_COMPARED]
