"""What the policy has from LiteLLM's settings for which our section has no place: second names of models, the header
that names a user, and what keys get that are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import re2

from scalix.domain.identity.key_bounds import AMOUNTS, DEFAULTS, SPANS
from scalix.domain.limits.spans import span_ms
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.litellm.fallbacks import model_names
from scalix.launch.litellm.told import Told
from scalix.launch.problems import Problem

_MODULE = "litellm_settings"
_HEADER = re2.compile(r"[A-Za-z0-9-]{1,64}")
# By which callers show who they are, or which a client or a proxy sets for another purpose.
_NO_USER = frozenset({"authorization", "x-api-key", "api-key", "host", "x-forwarded-for", "content-type", "cookie"})


@dataclass(frozen=True, slots=True)
class Taken:
    """Plain data for the policy. `user_header` is in lower case, and empty for none."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    user_header: str = ""
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    key_bounds: Mapping[str, Any] = field(default_factory=dict)


def take_rest(source: YamlSource, told: Told, problems: list[Problem]) -> Taken:
    """Take them out of `source.data`."""
    return Taken(
        _aliases(source, told),
        _user_header(source, told, problems),
        _of_keys(source, "default_key_generate_params", DEFAULTS, told, problems),
        _of_keys(source, "upperbound_key_generate_params", frozenset({*AMOUNTS, *SPANS}), told, problems),
    )


def _user_header(source: YamlSource, told: Told, problems: list[Problem]) -> str:
    general = source.data.get("general_settings")
    written = general.pop("user_header_name", None) if isinstance(general, dict) else None
    if written is None:
        return ""
    where = source.where(("general_settings", "user_header_name"))
    name = str(written).lower()
    if not _HEADER.fullmatch(name) or name in _NO_USER:
        what = f"general_settings.user_header_name: {str(written)[:64]!r} can't name a user"
        problems.append(Problem(where, what, "write a header of your own, such as X-App-User-Id"))
        return ""
    told.translated.append(f"{where}: user_header_name: {written} names the user of requests with the master key")
    return name


def _of_keys(
    source: YamlSource, setting: str, known: frozenset[str], told: Told, problems: list[Problem]
) -> dict[str, Any]:
    module = source.data.get(_MODULE)
    written = module.pop(setting, None) if isinstance(module, dict) else None
    found: dict[str, Any] = {}
    for name, value in written.items() if isinstance(written, dict) else ():
        where = source.where((_MODULE, setting, name))
        if value is None:
            continue
        if name not in known:
            told.without_effect.append(f"{where}: {setting}.{name}: without effect here: keys have no such field")
        elif name in SPANS and span_ms(value) is None:
            problems.append(Problem(where, f"{setting}.{name} is no time", "write one such as 24h, 30d or 1mo"))
        elif name in AMOUNTS and (isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0):
            problems.append(Problem(where, f"{setting}.{name} is no number", "write one such as 10, 0 for none"))
        else:
            found[name] = float(value) if isinstance(value, Decimal) else value
    if found:
        told.translated.append(f"{source.where((_MODULE, setting))}: {setting} holds for keys: {', '.join(found)}")
    return found


def _aliases(source: YamlSource, told: Told) -> dict[str, str]:
    """The second names of models, without those that are models themselves, and those that LiteLLM would not list."""
    router = source.data.get("router_settings")
    written = router.pop("model_group_alias", None) if isinstance(router, dict) else None
    models = model_names(source.data)
    found: dict[str, str] = {}
    for alias, value in written.items() if isinstance(written, dict) else ():
        target = value.get("model") if isinstance(value, dict) else value
        subject = f"{source.where(('router_settings', 'model_group_alias', alias))}: model_group_alias.{alias}"
        if alias in models:
            told.without_effect.append(f"{subject}: without effect here: it is a model in model_list")
        elif target not in models:
            told.without_effect.append(f"{subject}: without effect here: model_list does not have {target}")
        else:
            found[str(alias)] = str(target)
            told.translated.append(f"{subject} stands for {target}, whose tier and price hold")
    return found
