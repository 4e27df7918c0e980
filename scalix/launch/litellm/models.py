"""What an entry of `model_list` says that the gateway reads in another way than LiteLLM."""

from collections.abc import Mapping

from scalix.launch.config.findings import Findings
from scalix.launch.config.references import whole_reference

_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def take_models(findings: Findings, values: Mapping[str, str]) -> None:
    """Write out a model's name that stands in a variable, since price and provider hang on it, and make the largest
    answer of a deployment what its model may answer at most."""
    for index in range(len(findings.source.listed("model_list"))):
        steps = ("model_list", index, "litellm_params")
        params = findings.source.mapping(*steps)
        name = whole_reference(params.get("model"))
        if name is not None and values.get(name, "").strip():
            params["model"] = values[name].strip()
        caps = {key: params.pop(key) for key in _CAPS if key in params}
        model = findings.source.mapping("model_list", index)
        info = model.setdefault("model_info", {}) if caps else None
        if isinstance(info, dict) and info.get("max_output_tokens") is None:
            key, most = next(iter(caps.items()))
            info["max_output_tokens"] = most
            what = f"litellm_params.{key} of '{model.get('model_name')}' is model_info.max_output_tokens"
            findings.becomes((*steps, key), f"{what}: what it answers at most ({most})")
