"""LiteLLM's own price map: a file inside its package, read without importing LiteLLM."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from scalix.domain.prices.pricing import MOST_VERSION_CHARS

_FILE = "model_prices_and_context_window_backup.json"

Entry = Mapping[str, Any]
"""What the map says of one model."""


@lru_cache(maxsize=1)
def map_version() -> str:
    """`map:1.106.12`, by LiteLLM's version."""
    try:
        return f"map:{version('litellm')}"[:MOST_VERSION_CHARS]
    except PackageNotFoundError:
        return "map"


def map_entry(names: frozenset[str], *wanted: str) -> Entry:
    """The map's entry for the first of `wanted` that it has, else an empty one. `names` are all that will be asked for,
    so that the file, of 3 MB, is read once and not kept."""
    entries = _entries(names)
    return next((entries[name] for name in wanted if name in entries), {})


@lru_cache(maxsize=8)
def _entries(names: frozenset[str]) -> dict[str, Entry]:
    known = whole_map()
    return {name: known[name] for name in names if name in known}


def whole_map() -> dict[str, Entry]:
    """The whole map, for a start that has wildcards; it takes some 20 MB."""
    spec = find_spec("litellm")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        return {}
    try:
        known = orjson.loads((Path(folders[0]) / _FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, dict) and name != "sample_spec"}
