"""Reads a config file together with the files that it includes, as LiteLLM does."""

from pathlib import Path

from scalix.launch.config.yaml_source import YamlSource, load_yaml
from scalix.launch.problems import LaunchError, Problem, shown_path


def load_config(path: Path, problems: list[Problem]) -> YamlSource:
    """Read the file at `path` and its included ones into one source.

    Problems of included files are added to `problems`. Raises `LaunchError` if the file itself can't be read or
    has no sections.
    """
    source = load_yaml(path)
    if not isinstance(source.data, dict) or not source.data:
        fix = "write model_list and scalix, as in the litellm_proxy_config.yaml that is delivered"
        raise LaunchError.of(source.where(()), "the file has no sections", fix)
    pending, seen = [(source, entry) for entry in _included(source, problems)], {path.absolute().resolve()}
    while pending:
        declaring, entry = pending.pop(0)
        beside = [file.parent / entry for file in (declaring.path, path)]
        file = next((found for found in beside if found.is_file()), beside[0])
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        try:
            other = load_yaml(file)
        except LaunchError as error:
            problems += error.problems
            continue
        if not isinstance(other.data, dict):
            problems.append(Problem(shown_path(file), "the included file has no sections", "write model_list in it"))
            continue
        pending += [(other, further) for further in _included(other, problems)]
        source.take_in(other)
    return source


def _included(source: YamlSource, problems: list[Problem]) -> list[str]:
    """Take the list of included files out of a file, whose tags are reported."""
    what = "the YAML tag {} means nothing here"
    problems += [source.problem(steps, what.format(tag), "write ${NAME}") for steps, tag in source.tagged()]
    entries = source.take("include") or []
    if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
        return entries
    problems.append(source.problem(("include",), "include is not a list of files", "write include: [models.yaml]"))
    return []
