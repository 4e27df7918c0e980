"""Documents and search results of Anthropic's messages reach models of OpenAI's format as texts, or are refused."""

from typing import Any

import httpx
import pytest

from tests.e2e.described_rig import CLAUDE, OPENAI, http, provider
from tests.e2e.scripted_provider import Provider

__all__ = ["http", "provider"]

TEXTS: list[dict[str, Any]] = [
    {"type": "document", "title": "Rivers", "source": {"type": "text", "media_type": "text/plain", "data": "The Nile"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "The Nile"}]}},
    {"type": "document", "source": {"type": "content", "content": "The Nile"}},
    {"type": "search_result", "source": "https://x", "title": "T", "content": [{"type": "text", "text": "The Nile"}]},
]
OTHERS: list[dict[str, Any]] = [
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {}}]}},
]


def asked(model: str, block: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "text", "text": "Which river?"}, block]
    return {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize("block", TEXTS)
def test_a_document_of_text_is_told_as_text(http: httpx.Client, provider: Provider, block: dict[str, Any]) -> None:
    got = http.post("/v1/messages", json=asked(OPENAI, block))
    assert got.status_code == 200, got.text
    assert "The Nile" in str(provider.asked[-1][1]["messages"])
    # And one of Anthropic's format gets it as it is
    assert http.post("/v1/messages", json=asked(CLAUDE, block)).status_code == 200
    assert provider.asked[-1][1]["messages"][0]["content"][1]["type"] == block["type"]


@pytest.mark.parametrize("block", OTHERS)
def test_a_document_that_is_no_text_is_refused_with_its_place(
    http: httpx.Client, provider: Provider, block: dict[str, Any]
) -> None:
    before = len(provider.asked)
    got = http.post("/v1/messages", json=asked(OPENAI, block))
    assert got.status_code == 400, got.text
    assert "messages[0].content[1]" in got.json()["error"]["message"]
    assert len(provider.asked) == before
