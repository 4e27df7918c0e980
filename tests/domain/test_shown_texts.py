"""A credential in a wrong place is not said back."""

import pytest

from scalix.domain.redaction.foreign_texts import shown_text

KEY = "sk-scalix-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7i"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/v1/chat/completion", "/v1/chat/completion"),
        ("gpt-4", "gpt-4"),
        (f"/key/{KEY}", "/key/[removed]"),
        (f"/key/{KEY[:20]}/info", "/key/[removed]/info"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "[removed]"),
        ("key", "key"),
        ("x" * 300, "x" * 100),
        ("y" * 95 + "sk-" + "a" * 40, "y" * 95 + "sk-aa"),
        ("ask-12345678901", "ask-12345678901"),
    ],
)
def test_what_is_said_back(text: str, told: str) -> None:
    assert shown_text(text, 100) == told
