"""Goes through what a config file says to LiteLLM: takes out what has no effect here, and says what becomes of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.launch.config.gateway_settings import CUSTOM_AUTH
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.litellm.kinds import Kind, Setting, Table
from scalix.launch.litellm.sections import JUDGED, NO_SETTING, OURS, SECTIONS, TABLES, is_price
from scalix.launch.litellm.spelling import misspelt
from scalix.launch.litellm.told import Told
from scalix.launch.problems import Problem

Steps = tuple[Step, ...]
_PASSED_ON = Setting(Kind.HONOURED, "passes to the provider")
_OURS = {"custom_auth": CUSTOM_AUTH}
_MODEL_LIST, _PARAMS = "model_list", "litellm_params"


def judge(source: YamlSource, told: Told, problems: list[Problem]) -> None:
    """Take out of `source.data` what has no effect here, and say so, in one line for each reason. What is refused or
    misspelt is added to `problems`."""
    found: dict[tuple[str, Setting], list[Steps]] = {}
    for place, name, section, setting in _settings(source, problems):
        steps = (*place, name)
        if setting.kind is Kind.REFUSED and _at(source.data, steps) != _OURS.get(name):
            problems.append(Problem(source.where(steps), f"{_dotted(section, [name])} {setting.note}", setting.fix))
        elif setting.kind is Kind.WITHOUT_EFFECT:
            holder = _at(source.data, place)
            if holder.pop(name) not in (None, False, "", [], {}):
                found.setdefault((section, setting), []).append(steps)
        elif setting is _PASSED_ON:
            found.setdefault((section, setting), []).append(steps)
    for (section, setting), places in found.items():
        subject = f"{source.where(places[0])}: {_dotted(section, [str(steps[-1]) for steps in places])}"
        if setting is _PASSED_ON:
            told.translated.append(f"{subject} {setting.note}, as LiteLLM has no such setting")
        else:
            told.without_effect.append(f"{subject}: without effect here: {setting.note}")


def _settings(source: YamlSource, problems: list[Problem]) -> Iterator[tuple[Steps, str, str, Setting]]:
    """Every setting: where it stands, its name, the table that it is in, and what becomes of it."""
    known = [*SECTIONS, OURS]
    for name in _names(source.data):
        if name in known:
            if name in SECTIONS:
                yield (), name, "", SECTIONS[name]
            continue
        if not _is_misspelt(source, (), name, known, problems, "section"):
            yield (), name, "", NO_SETTING
    for section in JUDGED:
        yield from _of(source, (section,), section, NO_SETTING, problems)
    models = source.data.get(_MODEL_LIST)
    for index, model in enumerate(models if isinstance(models, list) else []):
        if isinstance(model, dict):
            yield from _of(source, (_MODEL_LIST, index), _MODEL_LIST, NO_SETTING, problems)
            section = f"{_MODEL_LIST}.{_PARAMS}"
            yield from _of(source, (_MODEL_LIST, index, _PARAMS), section, _PASSED_ON, problems)


def _of(
    source: YamlSource, place: Steps, section: str, unknown: Setting, problems: list[Problem]
) -> Iterator[tuple[Steps, str, str, Setting]]:
    table: Table = TABLES[section]
    for name in _names(_at(source.data, place)):
        if name in table:
            yield place, name, section, table[name]
        elif not (unknown is _PASSED_ON and is_price(name)) and not _is_misspelt(
            source, place, name, table, problems, "setting"
        ):
            yield place, name, section, unknown


def _is_misspelt(source: YamlSource, place: Steps, name: str, known: Any, problems: list[Problem], kind: str) -> bool:
    """Whether `name` is a slip; where the right one is missing too, so that nothing says what was meant."""
    meant = misspelt(name, known)
    if meant is None:
        return False
    what = f"unknown {kind} '{name}'" + (
        f" in {'.'.join(str(s) for s in place if isinstance(s, str))}" if place else ""
    )
    problems.append(Problem(source.where((*place, name)), what, f"write '{meant}'"))
    return True


def _dotted(section: str, names: list[str]) -> str:
    listed = ", ".join(dict.fromkeys(names))
    return f"{section}.{listed}" if section else listed


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []


def _at(value: Any, steps: Steps) -> Any:
    for step in steps:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
