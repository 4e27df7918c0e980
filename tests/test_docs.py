"""The documents name tests as proof of what they promise: each named one exists, and no cell of a feature is empty."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scalix.cli import doctor, main, start
from scalix.domain.error_statuses import ANSWERS
from scalix.domain.errors import GatewayError
from scalix.domain.metric_families import FAMILIES
from scalix.edge.health_routes import _ALARMS, _BACKUPS
from scalix.launch.config.config_schema import ScalixSection, TierSection
from scalix.launch.config.references import FORMER_NAMES
from scalix.launch.processes.runfile import RunFile
from scalix.launch.processes.status import seen_from_outside
from scalix.launch.settings.variable_notes import OURS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# In a block or between backticks, up to a comment or where the output goes.
_COMMAND = re.compile(r"(?:python -m scalix|start_scalix_litellm\.py) +([^`#>|\n\\]+)")
CONDITIONS = (
    "two workers",
    "two instances",
    "store away",
    "worker killed",
    "plain mode",
    "without `scalix:`",
    "`--reload`",
    "data of the version before",
    "`export`, `erase`",
    "bad input",
    "default",
    "bound",
)
WITH_CONDITIONS = (
    "backup",
    "clients",
    "deployments",
    "doctor",
    "fields",
    "from-litellm",
    "keys",
    "limits",
    "security",
    "usage",
)
# A name without a file is of the file before it.
_NAMED = re.compile(r"(tests/[\w/]+\.py)|(?:::)(test_\w+)")


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_document_names_exists(page: str) -> None:
    file = ""
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        for path, name in _NAMED.findall(line):
            if path:
                file = path
                assert (ROOT / file).is_file(), f"{page}:{number}: there is no {file}"
            else:
                assert file, f"{page}:{number}: {name} stands without its file"
                assert name in names_in(file), f"{page}:{number}: {file} has no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_document_shows_is_one(page: str) -> None:
    """Those in blocks are run too, by tests/e2e/test_readme.py."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("…", "")
    for found in _COMMAND.finditer(text):
        arguments = shlex.split(found[1])
        parser = main._parser() if "-m scalix" in found[0] else start._parser()
        if arguments[:1] == ["doctor"]:
            parser, arguments = doctor.parser(), arguments[1:]
        if "--help" not in arguments:
            try:
                parser.parse_args(arguments)
            except SystemExit as refused:
                raise AssertionError(f"{page}: {found[0]}") from refused


def tables(text: str) -> list[list[list[str]]]:
    """Of each table of conditions its rows, and of each row its cells."""
    found: list[list[list[str]]] = []
    for line in text.splitlines():
        if line.startswith("| condition |"):
            found.append([])
        elif found and line.startswith("|") and not line.startswith("|---"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif not line.startswith("|"):
            found.append([])
    return [table for table in found if table]


@pytest.mark.parametrize("page", WITH_CONDITIONS)
def test_each_condition_of_a_feature_has_its_test_or_the_reason_why_it_has_none(page: str) -> None:
    found = tables((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    of_features = [table for table in found if table[0][0] == CONDITIONS[0]]
    assert of_features
    for table in of_features:
        assert tuple(row[0] for row in table) == CONDITIONS
        for condition, *cells in table:
            assert len(cells) == len(table[0]) - 1, condition
            for cell in cells:
                assert "::test_" in cell or re.match(r"does not apply: \w", cell), f"{page}: {condition}: {cell!r}"


@pytest.mark.parametrize("section", [ScalixSection, TierSection])
def test_the_page_about_configuration_has_every_key(section: type[ScalixSection | TierSection]) -> None:
    rows = re.findall(r"^\| (`.*?) \| ", (ROOT / "docs/configuration.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(section.model_fields) - named == set()


def test_the_page_about_configuration_has_every_variable_of_the_example() -> None:
    example = (ROOT / "scalix_config.env.example").read_text(encoding="utf-8")
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").partition("## Environment variables")[2]
    named = {name for row in re.findall(r"^\|.*$", page, re.MULTILINE) for name in re.findall(r"`([A-Z_]{3,})`", row)}
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == named


def test_every_header_of_ours_is_explained_and_readable_by_pages_of_other_origins() -> None:
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "scalix" / "edge").glob("*.py")]
    sent = {name for text in code for name in re.findall(r'b"(x-scalix-[a-z-]+)"', text)}
    explained = (ROOT / "docs/connect.md").read_text(encoding="utf-8")
    assert {name for name in sent if f"`{name}`" not in explained} == set()
    exposed = (ROOT / "scalix/edge/cors.py").read_text(encoding="utf-8").partition("_EXPOSED")[2]
    assert {name for name in sent if name not in exposed} == set()


def test_the_page_about_metrics_has_every_metric_and_no_other() -> None:
    section = (ROOT / "docs" / "usage.md").read_text().partition("## Metrics:")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.partition("\n| metric")[2].partition("\n\n")[0].splitlines()[2:]]
    told = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    labels = {name: re.findall(r"[a-z]+(?==|,|;|$)", text) for name, text in told.items()}
    assert labels == {name: list(family.labels) for name, family in FAMILIES.items()}


def test_the_page_about_errors_has_every_code_with_its_status_and_no_other() -> None:
    section = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").partition("## Every code")[2]
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d, ]+) \| \w", section, re.MULTILINE))
    by_provider = {"provider_refused", "context_length_exceeded", "content_filter"}
    known = {error.code for error in kinds_of(GatewayError)}
    assert set(told) == known | set(ANSWERS)
    assert {code: int(told[code]) for code in told if code not in by_provider} == {
        code: answer[0] for code, answer in ANSWERS.items() if code not in by_provider
    }


def kinds_of(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """All errors below this one, as far as they are loaded."""
    for kind in error.__subclasses__():
        yield kind
        yield from kinds_of(kind)


def keys_of(section: type) -> Iterator[str]:
    """Every key of a section of the config, those of the sections within it too."""
    for name, annotation in get_type_hints(section).items():
        if not name.startswith("_") and get_origin(annotation) is not ClassVar:
            yield getattr(section, "model_fields", {}).get(name, FieldInfo()).alias or name
            for below in sections_in(annotation):
                yield from keys_of(below)


def sections_in(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


def test_every_setting_of_the_config_is_explained_as_a_key() -> None:
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    code = "\n".join(re.findall(r"`[^`\n]+`|^```.*?^```", text, re.MULTILINE | re.DOTALL))
    keys = set(keys_of(ScalixSection))
    assert len(keys) > 90
    assert {key for key in keys if not re.search(rf"\b{key}\b", code)} == set()


def test_every_variable_that_counts_is_explained() -> None:
    pages = ("scalix_config.env.example", "docs/configuration.md")
    example, page = ((ROOT / name).read_text(encoding="utf-8") for name in pages)
    assert {name for name in OURS if name not in example} == set()
    former = {other for others in FORMER_NAMES.values() for other in others}
    assert {name for name in OURS - former if f"`{name}`" not in page} == set()


def test_every_alarm_of_the_status_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalix.launch.processes.status.FEW_MB", 2**60)
    told = {name for names in (*_ALARMS.values(), *_BACKUPS.values()) for name in names.split()}
    run = RunFile("", 0, str(ROOT / "gateway.log"), down=("worker 1 has ended",))
    alarms = told - {"backup_age_s"} | seen_from_outside(run, ROOT).keys()
    assert {"workers_down", "log_dir_free_mb"} < alarms
    section = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("### Alarms")[2]
    assert alarms - set(re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)) == set()
