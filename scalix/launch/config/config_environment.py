"""What the config file says of the environment: LiteLLM's `environment_variables`, and the master key's variable."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from scalix.launch.config.included import load_config
from scalix.launch.config.references import whole_reference
from scalix.launch.problems import LaunchError
from scalix.launch.settings.environment import Environment

MASTER_KEY = "LITELLM_MASTER_KEY"


def with_config_variables(environment: Environment, path: Path) -> Environment:
    """The environment with what the config at `path` sets in it; as it is where the file can't be read, which whoever
    reads it in full tells of."""
    try:
        data = load_config(path, []).data
    except LaunchError:
        return environment
    values, origins = dict(environment.values), dict(environment.origins)
    written = data.get("environment_variables")
    for name, text in written.items() if isinstance(written, dict) else ():
        if isinstance(name, str) and name and isinstance(text, str | int) and not isinstance(text, bool):
            value = _value(str(text), environment.values)
            if value is not None:
                values[name] = value
                origins.pop(name, None)
    general = data.get("general_settings")
    key = general.get("master_key") if isinstance(general, dict) else None
    name = whole_reference(key)
    found = (values.get(name) if name else key) if isinstance(key, str) else None
    if not found or name == MASTER_KEY:
        return replace(environment, values=MappingProxyType(values), origins=origins)
    values[MASTER_KEY] = found
    if name in origins:
        origins[MASTER_KEY] = origins[name]
    else:
        origins.pop(MASTER_KEY, None)
    return replace(environment, values=MappingProxyType(values), origins=origins, master_key_name=name or "")


def _value(text: str, values: Mapping[str, str]) -> str | None:
    name = whole_reference(text)
    return values.get(name) if name else text
