"""What an entry of `model_list` says that the gateway reads in another way."""

from collections.abc import Mapping
from typing import Any

from scalix.launch.config.references import whole_reference
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.litellm.told import Told

_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def take_models(source: YamlSource, values: Mapping[str, str], told: Told) -> None:
    """A model that stands in a variable is written out, since price and provider hang on its name; the largest answer
    of a deployment becomes what its model may answer at most."""
    models = source.data.get("model_list")
    for index, model in enumerate(models if isinstance(models, list) else []):
        params = model.get("litellm_params") if isinstance(model, dict) else None
        if not isinstance(params, dict):
            continue
        name = whole_reference(params.get("model"))
        if name is not None and values.get(name, "").strip():
            params["model"] = values[name].strip()
        caps = {key: params.pop(key) for key in _CAPS if key in params}
        info: Any = model.setdefault("model_info", {}) if caps else None
        if isinstance(info, dict) and info.get("max_output_tokens") is None:
            key, info["max_output_tokens"] = next(iter(caps.items()))
            where = source.where(("model_list", index, "litellm_params", key))
            told.translated.append(
                f"{where}: litellm_params.{key} of '{model.get('model_name')}' is model_info.max_output_tokens: what "
                f"it answers at most ({info['max_output_tokens']})"
            )
