"""The models that a wildcard stands for: those that LiteLLM's map knows and the credentials at hand can serve."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.identity.published_keys import is_placeholder
from scalix.domain.model_names import filled_in, is_servable
from scalix.launch.config.config_schema import Deployment
from scalix.launch.config.deployments import IMPLICIT_KEYS
from scalix.launch.config.offered import answers
from scalix.launch.config.price_map_file import Entry, whole_map


def names_of(deployment: Deployment, values: Mapping[str, str], *, demo: bool) -> Iterator[tuple[str, str]]:
    """Each public name that the wildcard serves, and the model behind it. With `demo` all credentials are there."""
    pattern, model = deployment.model_name, deployment.litellm_params.model
    is_open = not names_provider(model)
    for full, short, entry in _known():
        if not answers(entry):
            continue
        if is_open and not _has_credentials(str(entry.get("litellm_provider")), values, demo=demo):
            continue
        for name in (short, full) if is_open else (full,):
            segment = filled_in(model, name) if "*" in model else filled_in(pattern, short)
            if segment is not None:
                public = pattern.replace("*", segment)
                if is_servable(public):
                    yield public, model.replace("*", segment)


def names_provider(model: str) -> bool:
    """Whether a wildcard's model says who serves it: else whoever asks would, with the operator's credentials."""
    return "/" in model.partition("*")[0]


def has_address(deployment: Deployment) -> bool:
    """Whether the provider of a wildcard is a server of its own, of which LiteLLM's map knows nothing."""
    extra = deployment.litellm_params.model_extra or {}
    return bool(extra.get("api_base") or extra.get("base_url"))


def serves_any_name(deployment: Deployment) -> bool:
    """Whether a wildcard serves more than the names of LiteLLM's map."""
    return has_address(deployment) and names_provider(deployment.litellm_params.model)


def with_model(deployment: Deployment, public: str, model: str) -> Deployment:
    """The deployment as if it stood for one name."""
    params: dict[str, Any] = {**deployment.litellm_params.model_dump(), "model": model}
    return deployment.model_copy(
        update={"model_name": public, "litellm_params": type(deployment.litellm_params).model_construct(**params)}
    )


def _known() -> Iterator[tuple[str, str, Entry]]:
    """Each model of the map: its name with the provider's, without it where the map leaves it out, and its entry."""
    for name, entry in whole_map().items():
        provider = entry.get("litellm_provider")
        if isinstance(provider, str) and provider and "*" not in name:
            yield (name if name.startswith(f"{provider}/") else f"{provider}/{name}"), name, entry


def _has_credentials(provider: str, values: Mapping[str, str], *, demo: bool) -> bool:
    names = IMPLICIT_KEYS.get(provider, ())
    return (demo and bool(names)) or any(
        values.get(name, "").strip() and not is_placeholder(values[name]) for name in names
    )
