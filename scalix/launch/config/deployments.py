"""Renders each deployment of the file for LiteLLM, and tells which can be served with the keys at hand."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scalix.domain.identity.published_keys import is_placeholder
from scalix.launch.config.config_schema import Deployment
from scalix.launch.config.references import (
    LITELLM_PREFIX,
    References,
    address_of,
    is_private,
    is_secret_name,
    referenced,
)
from scalix.launch.config.yaml_source import Step
from scalix.launch.litellm.providers import provider_of
from scalix.launch.litellm.translating import LIMITS, litellm_chooses

DEMO_URL_VARIABLE = "SCALIX_DEMO_URL"
"""The launcher sets it to the base URL of the demo provider, with `/v1`."""
# The demo provider asks for no key, but LiteLLM's client needs one to send.
_DEMO_PARAMS = {"api_base": LITELLM_PREFIX + DEMO_URL_VARIABLE, "api_key": "demo"}

# The variable that LiteLLM itself reads for a provider when a deployment gives no key. Any one of them will do.
_NAMED_ALIKE = "anthropic azure cohere deepseek groq mistral novita openai openrouter xai"
IMPLICIT_KEYS: Mapping[str, tuple[str, ...]] = {
    **{provider: (f"{provider.upper()}_API_KEY",) for provider in _NAMED_ALIKE.split()},
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "together_ai": ("TOGETHERAI_API_KEY",),
}
_AZURE = "azure"  # each customer of which has an address
# LiteLLM's own `tier` of a model is one of these two, and it drops a deployment that says another word.
_LITELLM_TIERS = ("free", "paid")
_UNORDERED = 1_000_000  # after those that have an order
_WEIGHTS = ("weight", "rpm", "tpm")  # by the first of them that any deployment of a model has, as in LiteLLM


@dataclass(frozen=True, slots=True)
class Rendered:
    """A deployment as LiteLLM reads it. `ident` is its id there, if its model has several.

    `missing` are the variables without a usable value that keep it out of service; `steps` is its place in the
    file.
    """

    name: str
    provider_model: str
    entry: Mapping[str, Any]
    missing: tuple[str, ...]
    declared: Deployment
    steps: tuple[Step, ...]
    ident: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)  # `rpm` and `tpm`


def render_deployments(
    declared: list[Deployment], references: References, values: Mapping[str, str], *, demo: bool
) -> list[Rendered]:
    """Render each deployment of the file in LiteLLM's syntax. With `demo` each public model is the demo
    provider's."""
    rendered: list[Rendered] = []
    is_our_choice = not demo and not litellm_chooses(references.source)
    names = [deployment.model_name for deployment in declared]
    for index, (written, deployment) in enumerate(zip(references.source.data["model_list"], declared, strict=True)):
        steps = ("model_list", index)
        entry = references.translated(written, steps)
        params = _params(entry["litellm_params"])
        info = _model_info(entry.pop("model_info", None), params)
        name, order, ident = deployment.model_name, info.get("priority"), ""
        is_one_of_several = names.count(name) > 1
        if is_one_of_several and type(order) is int:
            info.setdefault("order", params.get("order", order))
        # LiteLLM would hold them by itself, in each worker.
        limits = {limit: info.pop(limit) for limit in LIMITS if "*" not in name and type(info.get(limit)) is int}
        if is_one_of_several and is_our_choice and "*" not in name:
            ident = info["id"] = str(info.get("id") or f"{name}#{names[: index + 1].count(name)}")
        missing = (
            references.missing_under((*steps, "litellm_params"))
            or _missing_implicit_key(params, values)
            or _placeholders(params, values)
        )
        if demo:
            if any(other.name == deployment.model_name for other in rendered):
                continue
            info.update({key: price for key, price in params.items() if key.endswith("_cost_per_token")})
            params, missing = {"model": f"openai/{deployment.model_name}", **_DEMO_PARAMS}, []
        entry |= {"litellm_params": params, **({"model_info": info} if info else {})}
        left = tuple(missing)
        rendered.append(Rendered(deployment.model_name, params["model"], entry, left, deployment, steps, ident, limits))
    return rendered


def weights_of(items: Sequence[Rendered]) -> list[float]:
    """The weights of a model's deployments, by which they share its requests."""
    for name in _WEIGHTS:
        given = [item.limits.get(name, item.entry["litellm_params"].get(name)) for item in items]
        weights = [float(one) if isinstance(one, int | float | Decimal) else 0.0 for one in given]
        if max(weights) > 0:
            return [max(weight, 0.0) for weight in weights]
    return [1.0] * len(items)


def order_of(item: Rendered) -> int:
    """The place of a deployment among its model's, which are asked in this order."""
    for part in ("litellm_params", "model_info"):
        order = item.entry.get(part, {}).get("order")
        if type(order) is int:
            return order
    return _UNORDERED


def priority_notes(raw: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines about priorities that have no effect."""
    names = [model["model_name"] for model in raw]
    alone, no_number = list[str](), list[str]()
    for model in raw:
        info = {**(model["litellm_params"].get("metadata") or {}), **(model.get("model_info") or {})}
        if "priority" in info:
            if names.count(model["model_name"]) == 1:
                alone.append(model["model_name"])
            elif type(info["priority"]) is not int:
                no_number.append(model["model_name"])
    what = "has no effect: it orders the deployments of one name"
    if alone:
        yield f"priority of {', '.join(alone)} {what}, and there is one each"
    for name in dict.fromkeys(no_number):
        yield f"priority of {name} {what}, and is to be a whole number for each, the first to be tried with the least"


def _params(written: Mapping[str, Any]) -> dict[str, Any]:
    params = dict(written)
    if "base_url" in params:
        params.setdefault("api_base", params.pop("base_url"))
    model = str(params["model"])
    if model.startswith("openai-compatible/"):
        params["model"] = "openai/" + model.removeprefix("openai-compatible/")
    return params


def _model_info(written: Mapping[str, Any] | None, params: dict[str, Any]) -> dict[str, Any]:
    """Merge `model_info` with `litellm_params.metadata`, which is taken out, as LiteLLM would send it to the
    provider."""
    info = {**(params.pop("metadata", None) or {}), **(written or {})}
    if info.get("tier", "free") not in _LITELLM_TIERS:
        info["scalix_tier"] = info.pop("tier")
    return info


def _missing_implicit_key(params: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return the variable that LiteLLM would read the key from, if the deployment gives no key and it is unset."""
    if any(name in params for name in ("api_key", "api_base", "litellm_credential_name")) or any(referenced(params)):
        return []
    provider = provider_of(params, {})
    names = IMPLICIT_KEYS.get(provider, ())
    held = [name for name in names if values.get(name, "").strip()]
    return [] if has_key(provider, values) else [*held, *names][:1]


def has_key(provider: str, values: Mapping[str, str]) -> bool:
    """Whether a variable that LiteLLM reads for a provider holds a key."""
    held = (values.get(name, "") for name in IMPLICIT_KEYS.get(provider, ()))
    return any(key.strip() and not is_placeholder(key) for key in held)


def _lent_key(params: Mapping[str, Any], values: Mapping[str, str]) -> str | None:
    """Return the variable whose key LiteLLM would send to another server than the provider's; `None` where it
    sends none."""
    if "api_key" in params or "litellm_credential_name" in params:
        return None
    provider = str(params.get("custom_llm_provider") or str(params["model"]).partition("/")[0])
    address = address_of(params, values)
    if not address or provider == _AZURE or provider.removesuffix("_ai") in address.lower():
        return None
    return next((name for name in IMPLICIT_KEYS.get(provider, ()) if values.get(name, "").strip()), None)


def _placeholders(params: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return the variables of secrets that hold placeholders. Private servers ask for some key and take any."""
    address = address_of(params, values)
    if address and is_private(address):
        return []
    found = [
        value.removeprefix(LITELLM_PREFIX)
        for key, value in params.items()
        if is_secret_name(key) and isinstance(value, str) and value.startswith(LITELLM_PREFIX)
    ]
    return [name for name in found if is_placeholder(values.get(name, ""))]


def names_provider(model: str) -> bool:
    """Whether a wildcard's model names the provider. If not, callers would choose it, with the operator's
    credentials."""
    return "/" in model.partition("*")[0]


def has_address(deployment: Deployment) -> bool:
    """Whether the deployment has an address of its own, so that LiteLLM's price map knows nothing of its models."""
    extra = deployment.litellm_params.extra
    return bool(extra.get("api_base") or extra.get("base_url"))


def serves_any_name(deployment: Deployment) -> bool:
    """Whether a wildcard serves more names than the price map has."""
    return has_address(deployment) and names_provider(deployment.litellm_params.model)


def lack(variable: str, values: Mapping[str, str]) -> str:
    """Say in words why a model is left out that needs `variable`."""
    return f"{variable} is {'a placeholder, no key' if values.get(variable, '').strip() else 'not set'}"


def deployment_notes(rendered: list[Rendered], models: Container[str], values: Mapping[str, str]) -> Iterator[str]:
    """Yield lines about deployments that are left out, and about those that are served in a way that may surprise."""
    for item in rendered:
        if item.missing and item.name in models:
            why = lack(item.missing[0], values)
            yield f"{item.name}: one of its deployments ({item.provider_model}) is left out: {why}"
        if (variable := _lent_key(item.entry["litellm_params"], values)) is not None:
            what = f"has an api_base and no api_key, so {variable} is sent there"
            yield f"{item.name}: {what}; write api_key: none, or ${{{variable}}} where that is meant"
        if "*" in item.name and has_address(item.declared) and not serves_any_name(item.declared):
            what = "serves the names that LiteLLM's map knows, and no other: any name would choose its own provider"
            yield f"{item.name}: {what}; write model: openai/* for a server that speaks OpenAI's format"
