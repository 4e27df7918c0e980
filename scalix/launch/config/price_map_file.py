"""Reads LiteLLM's price map, a file inside its package, without importing LiteLLM."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson

from scalix.domain.prices.pricing import MOST_VERSION_CHARS
from scalix.launch.litellm.providers import litellm_folder

_FILE = "model_prices_and_context_window_backup.json"

Entry = Mapping[str, Any]
"""What the map says of one model."""


@lru_cache(maxsize=1)
def map_version() -> str:
    """Return the version of the map, such as `map:1.106.12`, by LiteLLM's version."""
    try:
        return f"map:{version('litellm')}"[:MOST_VERSION_CHARS]
    except PackageNotFoundError:
        return "map"


def map_entry(names: frozenset[str], *wanted: str) -> Entry:
    """Return the entry of the first of `wanted` that the map has, else an empty one.

    `names` are all names that will be asked for, so that the file of 3 MB is read once and not kept.
    """
    entries = _entries(names)
    return next((entries[name] for name in wanted if name in entries), {})


@lru_cache(maxsize=8)
def _entries(names: frozenset[str]) -> dict[str, Entry]:
    known = whole_map()
    return {name: known[name] for name in names if name in known}


def whole_map() -> dict[str, Entry]:
    """Return the whole map, which takes some 20 MB. Needed where the config has wildcards."""
    try:
        known = orjson.loads((litellm_folder() / _FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, dict) and name != "sample_spec"}
