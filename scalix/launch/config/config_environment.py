"""Takes variables from the config file into the environment: LiteLLM's `environment_variables`, and the master
key."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from scalix.launch.config.included import load_config
from scalix.launch.config.references import whole_reference
from scalix.launch.problems import LaunchError
from scalix.launch.settings.environment import Environment

MASTER_KEY = "LITELLM_MASTER_KEY"


def with_config_variables(environment: Environment, path: Path) -> Environment:
    """Return the environment with the variables that the config at `path` sets.

    A file that can't be read changes nothing here; reading the whole config reports what is wrong with it.
    """
    try:
        source = load_config(path, [])
    except LaunchError:
        return environment
    values, origins = dict(environment.values), dict(environment.origins)
    for name, text in source.mapping("environment_variables").items():
        if isinstance(name, str) and name and isinstance(text, str | int) and not isinstance(text, bool):
            referred = whole_reference(text)
            value = environment.values.get(referred) if referred else str(text)
            if value is not None:
                values[name] = value
                origins.pop(name, None)
    key = source.at(("general_settings", "master_key"))
    name = whole_reference(key) or ""
    found = (values.get(name) if name else key) if isinstance(key, str) else None
    if not found or name == MASTER_KEY:
        return replace(environment, values=MappingProxyType(values), origins=origins)
    values[MASTER_KEY] = found
    origins.pop(MASTER_KEY, None)
    if name in origins:
        origins[MASTER_KEY] = origins[name]
    return replace(environment, values=MappingProxyType(values), origins=origins, master_key_name=name)
