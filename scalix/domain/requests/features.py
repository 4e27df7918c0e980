"""Features of Scalix's own models, which a request turns on in `scalix_options`: `{"enable_lazy_edits": true}`."""

from collections.abc import Collection, Mapping
from typing import Any

from scalix.domain.errors import BadRequest

FIELD = "scalix_options"
_PREFIX = "enable_"


def taken_options(body: dict[str, Any], known: Collection[str]) -> dict[str, bool]:
    """Take the options out of a body. `known` are the features that some tier has. Raises `BadRequest`."""
    options = body.pop(FIELD, None)
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise BadRequest(f"'{FIELD}' must be an object, such as {{\"enable_lazy_edits\": true}}.", param=FIELD)
    for name, value in options.items():
        if not name.startswith(_PREFIX) or name.removeprefix(_PREFIX) not in known:
            names = ", ".join(_PREFIX + feature for feature in sorted(known))
            raise BadRequest(f"'{FIELD}.{name[:40]}' is no option. Known are: {names or 'none'}.", param=FIELD)
        if not isinstance(value, bool):
            raise BadRequest(f"'{FIELD}.{name}' must be true or false.", param=f"{FIELD}.{name}")
    return options


def features_of(options: Mapping[str, bool]) -> list[str]:
    """The features that are turned on."""
    return [name.removeprefix(_PREFIX) for name, value in options.items() if value]


def options_for(options: Mapping[str, bool], features: Collection[str]) -> dict[str, bool]:
    """Those options that a model with these features knows."""
    return {name: value for name, value in options.items() if name.removeprefix(_PREFIX) in features}
