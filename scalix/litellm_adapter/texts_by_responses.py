"""Completions of texts by models that the config has asked by the Responses API (`openai/responses/…`).

LiteLLM (1.106.12) turns such a request into one of that API for the models of OpenAI's that it knows by name. Of
another it asks the server's own `/completions`, which may have no such model, and fails where the answer is streamed.
"""

from collections.abc import Mapping
from typing import Any

import litellm

_PREFIX, _PROVIDER = "responses/", "openai/"
_MOST_KNOWN = 10_000  # of a wildcard any name may be asked for


def let_know(kwargs: Mapping[str, Any]) -> None:
    """Put the model of a call to a deployment among those that LiteLLM knows."""
    name = str(kwargs.get("model")).removeprefix(_PROVIDER)
    known = litellm.open_ai_chat_completion_models
    if name.startswith(_PREFIX) and len(known) < _MOST_KNOWN:
        known.add(name)
