"""Variables and the config: all that a start would refuse, and all that it would warn of."""

import re
from collections.abc import Iterator

from scalix.launch.config.deployments import lack
from scalix.launch.doctor.findings import Case, Finding, Level
from scalix.launch.settings.variable_notes import variable_notes

_NAME = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")


def check_settings(case: Case) -> Iterator[Finding]:
    """The variables: those that are wrong, and those that mean nothing, with the name that was probably meant."""
    environment, settings, plan = case.found.environment, case.found.settings, case.plan
    of_config = settings.config_path.name
    yield from (Finding.of(one) for one in case.found.problems if not _is_of(one.where, of_config))
    unread = variable_notes(environment, workers_option=None, referred=_names_in(case), signing=())
    yield from (_told(line, "settings") for line in (plan.notes if plan else unread))
    yield from (_told(line, "settings", "note") for line in (plan.notes_on_kept if plan else ()))
    if not case.found.problems:
        sources = ", ".join(path.name for path in environment.sources) or "no env file"
        yield Finding("ok", "settings", f"SCALIX_ENV={settings.scalix_env}, {sources}")


def check_config(case: Case) -> Iterator[Finding]:
    """The config file: mistakes with their lines, settings without effect, models out of service."""
    config, path = case.found.config, case.found.settings.config_path
    if config is None:
        yield from (Finding.of(one) for one in case.found.problems if _is_of(one.where, path.name))
        return
    yield from (_told(line, "config") for line in config.warnings)
    for variable in dict.fromkeys(variable for _, variable in config.left_out):
        names = ", ".join(name for name, lacking in config.left_out if lacking == variable)
        why = lack(variable, case.found.environment.values)
        yield Finding("note", path.name, f"{why}, so these are left out: {names}", "set it if they are wanted")
    policy = config.policy
    if policy.models and not any(map(policy.tiers[policy.default_tier].allows, policy.models)):
        what = f"tier {policy.default_tier}, the default one, has none of the models in service: its users are refused"
        yield Finding("warning", path.name, what, "see to its `models`, or set the keys of those that it names")
    if policy.ui.enabled and policy.ui.is_closed_in(production=case.production):
        fix = "set scalix.ui.allow to the networks that may open them, or scalix.ui.port, or scalix.ui.enabled: false"
        yield Finding("note", path.name, "the operator's pages (/ui) are closed in production", fix)
    yield Finding("ok", path.name, f"{len(config.policy.models)} models in service, {len(config.policy.tiers)} tiers")


def _names_in(case: Case) -> frozenset[str]:
    """The variables that a config which can't be used may refer to."""
    try:
        return frozenset(_NAME.findall(case.found.settings.config_path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return frozenset()


def _is_of(where: str, file: str) -> bool:
    return where.partition(":")[0].rpartition("/")[2] == file


def _told(line: str, area: str, level: Level = "warning") -> Finding:
    """The finding of a line that a start would show: `where: what; fix`."""
    where, colon, what = line.partition(": ")
    if not colon or " " in where:
        where, what = area, line
    what, _, fix = what.partition("; ")
    return Finding(level, where, what, fix or ("remove it" if "without effect" in what else ""))
