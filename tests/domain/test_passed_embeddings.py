"""Embeddings that no engine has rewritten are what clients know."""

import copy
from typing import Any

import pytest

from scalix.domain.answers.passed_embeddings import PassedEmbeddings

FULL = {
    "object": "list",
    "model": "public",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        ({**FULL, "model": "the-providers"}, FULL),
        ({"data": [{"embedding": [0.25]}], "usage": FULL["usage"]}, FULL),
        ({"data": FULL["data"]}, {**FULL, "usage": {"prompt_tokens": 0, "total_tokens": 0}}),
        ({**FULL, "provider": "Who", "usage": {**FULL["usage"], "cost": 1e-7, "is_byok": True}}, FULL),  # type: ignore[dict-item]
        ({**FULL, "id": "e-1"}, {**FULL, "id": "e-1"}),
    ],
)
def test_an_answer_has_the_public_name_and_all_that_clients_read(said: dict[str, Any], passed: dict[str, Any]) -> None:
    answer = copy.deepcopy(said)
    PassedEmbeddings("public").whole(answer)
    assert answer == passed
