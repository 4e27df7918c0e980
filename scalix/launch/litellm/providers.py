"""Reads from LiteLLM's package which providers it knows, without importing it, and which packages it lacks for
them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

_OTLP = ("opentelemetry.exporter.otlp", "opentelemetry-exporter-otlp")
_OF_PROVIDERS = {
    **dict.fromkeys(("vertex_ai", "vertex_ai_beta"), ("google.auth", "google-auth")),
    **dict.fromkeys(("bedrock", "sagemaker", "sagemaker_chat"), ("boto3", "boto3")),
}
_OF_SERVICES = {
    **{name: (name, name) for name in ("langfuse", "lunary", "wandb", "supabase", "mlflow")},
    "sentry": ("sentry_sdk", "sentry-sdk"),
    "traceloop": ("traceloop", "traceloop-sdk"),
    "azure_storage": ("azure.storage.filedatalake", "azure-storage-file-datalake"),
    **dict.fromkeys(
        ("otel", "arize", "arize_phoenix", "langfuse_otel", "weave_otel", "langtrace", "signoz", "agentops", "levo"),
        _OTLP,
    ),
}


def missing_for_provider(provider: str) -> str | None:
    """Return the package to install for a provider; `None` if nothing is missing."""
    return _missing(*_OF_PROVIDERS[provider]) if provider in _OF_PROVIDERS else None


def missing_for_service(name: str) -> str | None:
    """Return the package to install for a callback of LiteLLM's; `None` if nothing is missing."""
    return _missing(*_OF_SERVICES[name]) if name in _OF_SERVICES else None


@lru_cache(maxsize=64)
def _missing(module: str, package: str) -> str | None:
    try:
        return None if find_spec(module) is not None else package
    except ModuleNotFoundError:  # of what stands before the dot
        return package


_ENUM = re.compile(r"class LlmProviders\(str, Enum\):(.*?)\n(?=\S)", re.DOTALL)
_VALUE = re.compile(r"^    \w+ = \"([^\"]+)\"", re.MULTILINE)
# Bare names of models whose provider LiteLLM tells by its lists.
_BARE_NAMES = (
    *(("gpt-", "openai"), ("chatgpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai")),
    *(("text-embedding-", "openai"), ("claude", "anthropic")),
)


def litellm_folder() -> Path:
    """Return the folder of LiteLLM's package; one without its files if it is not installed."""
    spec = find_spec("litellm")
    return Path(next(iter(spec.submodule_search_locations or []), "")) if spec else Path()


@lru_cache(maxsize=1)
def providers() -> frozenset[str]:
    """Return the names of LiteLLM's providers, as they stand before the slash in the name of a model."""
    folder = litellm_folder()
    try:
        source = (folder / "types/utils.py").read_text(encoding="utf-8")
        further = orjson.loads((folder / "llms/openai_like/providers.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return frozenset()
    found = _ENUM.search(source)
    return frozenset(_VALUE.findall(found[1]) if found else ()) | frozenset(further)


def provider_of(params: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the provider of a deployment, by its `litellm_params` and the price map's entry; empty if neither
    says."""
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


# Where LiteLLM asks the large ones, whose addresses stand in its code.
_ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "text-completion-openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "deepseek": "https://api.deepseek.com",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "xai": "https://api.x.ai/v1",
    "together_ai": "https://api.together.xyz/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "perplexity": "https://api.perplexity.ai",
    "cerebras": "https://api.cerebras.ai/v1",
    "nvidia_nim": "https://integrate.api.nvidia.com/v1",
}


def addresses() -> Mapping[str, str]:
    """Where each provider is asked that has one address for all its customers, as far as that is known here."""
    try:
        further = orjson.loads((litellm_folder() / "llms/openai_like/providers.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        further = {}
    return {name: str(one["base_url"]) for name, one in further.items() if "base_url" in one} | _ADDRESSES
