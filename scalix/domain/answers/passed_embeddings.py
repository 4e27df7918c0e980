"""Embeddings of a provider that speaks OpenAI's format, made what clients know, where no engine has rewritten them."""

from typing import Any

from scalix.domain.answers.fields import without_operators
from scalix.domain.json_values import objects

_NO_USAGE = {"prompt_tokens": 0, "total_tokens": 0}


class PassedEmbeddings:
    """One answer of a model. `model` is the model's public name."""

    items = "data"  # where the answer is

    def __init__(self, model: str) -> None:
        self._model = model

    def whole(self, answer: dict[str, Any]) -> None:
        """Complete the answer in place."""
        answer["object"], answer["model"] = "list", self._model
        for position, item in enumerate(objects(answer["data"])):
            item.setdefault("object", "embedding")
            item.setdefault("index", position)
        without_operators(answer)
        if not isinstance(answer.get("usage"), dict):
            answer["usage"] = dict(_NO_USAGE)
