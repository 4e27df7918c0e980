"""Decides for each model which engine serves it, by the config alone, and says why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scalix.domain.engines import LITELLM, Engine, engine_of
from scalix.domain.model_names import filled_in
from scalix.domain.policy import Model
from scalix.launch.config.deployments import Rendered
from scalix.launch.config.findings import Findings
from scalix.launch.config.gateway_settings import CALLBACKS
from scalix.launch.litellm.only_litellm import ONLY_LITELLM
from scalix.launch.litellm.providers import provider_of
from scalix.launch.litellm.sections import JUDGED

_PARAMS = "litellm_params"
# What asks for nothing: for most settings to be off, for this one to be on.
_NEUTRAL = {"ssl_verify": (None, True, "")}
_AZURE = ("azure", "azure_text")
_OFF = (None, False, "", 0)
# What stands in these lists and asks for nothing more than the gateway does.
_HARMLESS = {"callbacks": (CALLBACKS,), "optional_pre_call_checks": ("responses_api_deployment_check",)}

Config = Mapping[str, Any]


class EngineChoice:
    """Chooses the engines of models. `forced` is `scalix.engine`, `litellm` is LiteLLM's config, `in_service` are the
    deployments that it is given."""

    def __init__(self, findings: Findings, forced: str, litellm: Config, in_service: Sequence[Rendered]) -> None:
        self._findings = findings
        self._of_all = f"scalix.engine is {forced}" if forced == "litellm" else _wanted(litellm)
        self._in_service = in_service

    def chosen(self, models: Mapping[str, Model]) -> dict[str, Model]:
        """The models with their engines. A deployment that is to be served directly and can't be is a problem."""
        return {name: self._with_engines(name, model) for name, model in models.items()}

    def _with_engines(self, name: str, model: Model) -> Model:
        serving = [item for item in self._in_service if item.name == name]
        serving = serving or [item for item in self._in_service if filled_in(item.name, name) is not None]
        if not model.deployments:
            wants = None if len(serving) == 1 else f"LiteLLM chooses among its {len(serving)} entries"
            return replace(model, engine=next((self._engine(item, model, wants) for item in serving), LITELLM))
        by_id = {item.ident: item for item in serving}
        each = tuple(
            replace(one, engine=self._engine(by_id[one.id], replace(model, prices=one.prices)))
            for one in model.deployments
        )
        return replace(model, deployments=each, engine=Engine(reason="LiteLLM knows which of them keeps what is named"))

    def _engine(self, item: Rendered, model: Model, wants: str | None = None) -> Engine:
        """The engine of a deployment that serves `model`."""
        forced, params = item.entry.get("model_info", {}).get("engine"), item.entry[_PARAMS]
        wants = self._of_all or next(_of(params, _PARAMS), None) or wants
        if wants is None and any(price.reported for price in model.prices):
            wants = "only LiteLLM knows its price"
        if "*" in params["model"]:
            params = {**params, "model": model.provider_model}
        provider = provider_of(params, {})
        if wants is None and provider in _AZURE and not params.get("api_key"):
            wants = "without an api_key LiteLLM looks for Azure's credentials"
        engine = engine_of(provider, model.mode, wants)
        if forced == "direct" and not engine.direct:
            what = f"model_info.engine of '{item.name}' is direct, which can't be: {engine.reason}"
            self._findings.wrong((*item.steps, "model_info", "engine"), what, "remove the line")
        return Engine(reason="model_info.engine is litellm") if forced == "litellm" else engine


def _wanted(litellm: Config) -> str | None:
    """What the config of LiteLLM asks for that only LiteLLM does, whatever the model."""
    sections = {"": litellm, **{name: litellm.get(name) for name in JUDGED}}
    return next((wanted for name, settings in sections.items() for wanted in _of(settings, name)), None)


def _of(settings: Any, section: str) -> Iterator[str]:
    """The names of settings that only LiteLLM honours, as they are written in the file."""
    for name in ONLY_LITELLM[section] if isinstance(settings, Mapping) else ():
        if _asks(name, settings.get(name)):
            yield f"{f'{section}.' if section else ''}{name} is LiteLLM's"


def _asks(name: str, value: Any) -> bool:
    if isinstance(value, str) and name in _HARMLESS:
        value = [value]
    if isinstance(value, list):
        return any(item not in _HARMLESS.get(name, ()) for item in value)
    return bool(value) if isinstance(value, Mapping) else value not in _NEUTRAL.get(name, _OFF)
