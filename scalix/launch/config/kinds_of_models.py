"""Takes out the deployments that no request could be answered by, and says why."""

from collections.abc import Mapping, Sequence
from typing import Any

from scalix.launch.config.config_schema import ConfigFile
from scalix.launch.config.deployments import Rendered
from scalix.launch.config.offered import EMBEDDING, mode_of, no_provider, other_kind
from scalix.launch.config.price_builder import known_entry, map_names
from scalix.launch.config.yaml_source import YamlSource


class Kinds:
    """Judges the deployments of one file. `told` are lines for the operator; `embeddings` the names of models that
    answer with vectors alone."""

    def __init__(
        self,
        source: YamlSource,
        declared: ConfigFile,
        litellm: Mapping[str, Any],
        values: Mapping[str, str],
        *,
        demo: bool,
    ) -> None:
        self._source = source
        self._values = values
        self._demo = demo
        self._names = map_names(declared.model_list)
        self._own = _own_providers(litellm)
        self._declared = declared
        self.told: list[str] = []
        self.embeddings = {
            item.model_name
            for item in declared.model_list
            if mode_of(item.model_info.model_extra or {}, known_entry(item, self._names)) == EMBEDDING
        }

    def offered(self, rendered: Sequence[Rendered]) -> list[Rendered]:
        """Those that can be asked. With the demo provider only the kind of the model counts."""
        return [item for item in rendered if not self._is_out(item)]

    def _is_out(self, item: Rendered) -> bool:
        known = known_entry(item.declared, self._names)
        why = other_kind(item.declared.model_info.model_extra or {}, known)
        if why is None and not self._demo and "*" not in item.name and not item.missing:
            params: Mapping[str, Any] = item.entry["litellm_params"]
            why = no_provider(params, known, self._own, self._values)
        if why is None:
            return False
        index = next(i for i, other in enumerate(self._declared.model_list) if other is item.declared)
        self.told.append(f"{self._source.where(('model_list', index))}: {item.name} is left out: {why}")
        return True


def _own_providers(litellm: Mapping[str, Any]) -> set[str]:
    settings = litellm.get("litellm_settings")
    written = settings.get("custom_provider_map") if isinstance(settings, Mapping) else None
    return {str(item.get("provider")) for item in written or () if isinstance(item, Mapping)}
