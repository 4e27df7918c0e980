"""Packages that LiteLLM needs for a provider or a service and does not bring along."""

from functools import lru_cache
from importlib.util import find_spec

_OTLP = ("opentelemetry.exporter.otlp", "opentelemetry-exporter-otlp")
_OF_PROVIDERS = {
    "vertex_ai": ("google.auth", "google-auth"),
    "vertex_ai_beta": ("google.auth", "google-auth"),
    "bedrock": ("boto3", "boto3"),
    "sagemaker": ("boto3", "boto3"),
    "sagemaker_chat": ("boto3", "boto3"),
}
_OF_SERVICES = {
    "langfuse": ("langfuse", "langfuse"),
    "sentry": ("sentry_sdk", "sentry-sdk"),
    "lunary": ("lunary", "lunary"),
    "wandb": ("wandb", "wandb"),
    "traceloop": ("traceloop", "traceloop-sdk"),
    "supabase": ("supabase", "supabase"),
    "mlflow": ("mlflow", "mlflow"),
    "azure_storage": ("azure.storage.filedatalake", "azure-storage-file-datalake"),
    **dict.fromkeys(
        ("otel", "arize", "arize_phoenix", "langfuse_otel", "weave_otel", "langtrace", "signoz", "agentops", "levo"),
        _OTLP,
    ),
}


def missing_for_provider(provider: str) -> str | None:
    """The package to install for a provider; `None` where nothing is missing."""
    return _missing(*_OF_PROVIDERS[provider]) if provider in _OF_PROVIDERS else None


def missing_for_service(name: str) -> str | None:
    """The package to install for a callback of LiteLLM's; `None` where nothing is missing."""
    return _missing(*_OF_SERVICES[name]) if name in _OF_SERVICES else None


@lru_cache(maxsize=64)
def _missing(module: str, package: str) -> str | None:
    try:
        return None if find_spec(module) is not None else package
    except ModuleNotFoundError:  # of what stands before the dot
        return package
