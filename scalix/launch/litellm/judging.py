"""Removes settings of LiteLLM's that have no effect here from the config, and says what becomes of each."""

from collections.abc import Iterable, Iterator

from scalix.launch.config.findings import Findings
from scalix.launch.config.gateway_settings import CUSTOM_AUTH
from scalix.launch.config.yaml_source import Step
from scalix.launch.litellm.kinds import Kind, Setting
from scalix.launch.litellm.sections import JUDGED, NO_SETTING, OURS, SECTIONS, TABLES, is_price
from scalix.launch.problems import misspelt

Steps = tuple[Step, ...]
_PASSED_ON = Setting(Kind.HONOURED, "passes to the provider")
_OURS = {"custom_auth": CUSTOM_AUTH}
_MODEL_LIST, _PARAMS = "model_list", "litellm_params"


def judge(findings: Findings) -> None:
    """Remove what has no effect here from the file, with one line for each reason. Refused and misspelt settings
    are problems."""
    source = findings.source
    found: dict[tuple[str, Setting], list[Steps]] = {}
    for place, name, section, setting in _settings(findings):
        steps = (*place, name)
        if setting.kind is Kind.REFUSED and source.at(steps) != _OURS.get(name):
            findings.wrong(steps, f"{_dotted(section, [name])} {setting.note}", setting.fix)
        elif setting is _PASSED_ON or (
            setting.kind is Kind.WITHOUT_EFFECT and source.take(*steps) not in (None, False, "", [], {})
        ):
            found.setdefault((section, setting), []).append(steps)
    for (section, setting), places in found.items():
        subject = _dotted(section, [str(steps[-1]) for steps in places])
        if setting is _PASSED_ON:
            findings.becomes(places[0], f"{subject} {setting.note}, as LiteLLM has no such setting")
        else:
            findings.no_effect(places[0], subject, setting.note)


def _settings(findings: Findings) -> Iterator[tuple[Steps, str, str, Setting]]:
    """Yield every setting of the file: its place, its name, the table that it is in, and what becomes of it."""
    known = [*SECTIONS, OURS]
    for name in findings.source.names():
        if name in SECTIONS:
            yield (), name, "", SECTIONS[name]
        elif name != OURS and not _is_misspelt(findings, (name,), known, "section"):
            yield (), name, "", NO_SETTING
    for section in JUDGED:
        yield from _of(findings, (section,), section, NO_SETTING)
    for index, model in enumerate(findings.source.listed(_MODEL_LIST)):
        if isinstance(model, dict):
            yield from _of(findings, (_MODEL_LIST, index), _MODEL_LIST, NO_SETTING)
            yield from _of(findings, (_MODEL_LIST, index, _PARAMS), f"{_MODEL_LIST}.{_PARAMS}", _PASSED_ON)


def _of(findings: Findings, place: Steps, section: str, unknown: Setting) -> Iterator[tuple[Steps, str, str, Setting]]:
    """Yield the settings at `place`. One that is not in the table of `section` is `unknown`."""
    table = TABLES[section]
    for name in findings.source.names(*place):
        if name in table:
            yield place, name, section, table[name]
        elif unknown is _PASSED_ON and is_price(name):
            continue
        elif not _is_misspelt(findings, (*place, name), table, "setting"):
            yield place, name, section, unknown


def _is_misspelt(findings: Findings, steps: Steps, known: Iterable[str], kind: str) -> bool:
    """Whether a name is a slip of the pen for a known one, which is then reported as a problem."""
    *place, name = steps
    meant = misspelt(str(name), known)
    if meant is not None:
        inside = f" in {'.'.join(step for step in place if isinstance(step, str))}" if place else ""
        findings.wrong(steps, f"unknown {kind} '{name}'{inside}", f"write '{meant}'")
    return meant is not None


def _dotted(section: str, names: list[str]) -> str:
    listed = ", ".join(dict.fromkeys(names))
    return f"{section}.{listed}" if section else listed
