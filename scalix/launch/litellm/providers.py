"""Which providers LiteLLM knows, read from its package without importing it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

_ENUM = re.compile(r"class LlmProviders\(str, Enum\):(.*?)\n(?=\S)", re.DOTALL)
_VALUE = re.compile(r"^    \w+ = \"([^\"]+)\"", re.MULTILINE)
# Bare names of models whose provider LiteLLM tells by its lists.
_BARE_NAMES = (
    *(("gpt-", "openai"), ("chatgpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai")),
    *(("text-embedding-", "openai"), ("claude", "anthropic")),
)


@lru_cache(maxsize=1)
def providers() -> frozenset[str]:
    """Their names, as they stand before the slash in the name of a model."""
    spec = find_spec("litellm")
    folder = Path(next(iter(spec.submodule_search_locations or []), "")) if spec else Path()
    try:
        source = (folder / "types/utils.py").read_text(encoding="utf-8")
        further = orjson.loads((folder / "llms/openai_like/providers.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return frozenset()
    found = _ENUM.search(source)
    return frozenset(_VALUE.findall(found[1]) if found else ()) | frozenset(further)


def provider_of(params: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The provider of a deployment by its `litellm_params` and by what LiteLLM's map says of its model; empty where
    neither says."""
    own = params.get("custom_llm_provider")
    if own:
        return str(own)
    model = str(params["model"])
    first, slash, _ = model.partition("/")
    if slash and first in providers():
        return first
    of_map = str(known.get("litellm_provider") or "")
    if of_map:
        return of_map.partition("-")[0] if of_map.startswith("vertex_ai-") else of_map
    if slash:
        return first
    return next((provider for prefix, provider in _BARE_NAMES if model.startswith(prefix)), "")
