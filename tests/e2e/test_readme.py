"""Every command in README.md and in docs/, run in order in a copy of the project that has the gateway of these tests.

Blocks of `bash`, `console` and `python` are commands; `sh` marks what can't be run as it stands.
"""

import contextlib
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.gateways import ROOT, Gateway

README = ROOT / "README.md"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (README, *sorted((ROOT / "docs").glob("*.md")))
}
# For people who try things out: whatever is shown on them is run.
_BY_TASK = ("connect", "configuration", "index", "install", "keys", "operating", "troubleshooting", "users")
GUIDES = ("README.md", *(f"docs/{name}.md" for name in _BY_TASK))
ADDRESS = "http://127.0.0.1:4000"
# What Python has compiled is copied too: else the first command of each page compiles the whole package anew.
# What others install here is not copied: it is gigabytes.
LEFT_OUT = (".git", ".venv*", ".clients", ".scalix*", ".*cache", "*.pyc.*", "*.log*", "*.env", "results", "site")
NOT_COPIED = shutil.ignore_patterns(*LEFT_OUT)
TIMEOUT_S = 60.0

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_START = "start_scalix_litellm.py"


@dataclass(frozen=True)
class Step:
    """One command, with what a page shows of its output, and where it stands."""

    place: str
    kind: str
    command: str
    output: tuple[str, ...] = ()


def steps(page: str, text: str) -> Iterator[Step]:
    """The commands of all `bash`, `console` and `python` blocks, in order; a block of Python is one command."""
    for block in _FENCE.finditer(text):
        kind, body = block[1], block[2]
        line = text.count("\n", 0, block.start()) + 2
        if kind == "python":
            yield Step(f"{page}:{line}", kind, body)
        elif kind in ("bash", "console"):
            yield from _shell(kind, body, page, line)


def _shell(kind: str, body: str, page: str, line: int) -> Iterator[Step]:
    command, first, output = "", line, list[str]()
    for number, text in enumerate(body.splitlines(), line):
        if command.endswith("\\\n"):
            command += text + "\n"
        elif kind == "bash" or text.startswith("$ "):
            if command:
                yield Step(f"{page}:{first}", kind, command, tuple(output))
            command, first, output = text.removeprefix("$ ") + "\n", number, []
        else:
            output.append(text)
    if command:
        yield Step(f"{page}:{first}", kind, command, tuple(output))


@dataclass(frozen=True)
class Copy:
    """A copy of the project in which the tests' gateway seems to run on port 4000."""

    folder: Path
    gateway: Gateway

    def make(self, project: Path) -> None:
        """Of a copy of the project, with its files, which nothing on a page changes in place."""
        shutil.copytree(project, self.folder, copy_function=os.link)
        (self.folder / ".venv").symlink_to(sys.prefix)
        state = self.folder / ".scalix"
        state.mkdir(mode=0o700)
        (state / "master.key").write_text(f"{self.gateway.master_key}\n")
        for name in ("gateway.json", "gateway.lock", "store", "policy.json"):
            (state / name).symlink_to(self.gateway.state_dir / name)
        (self.folder / "logs").mkdir(exist_ok=True)
        (self.folder / "logs" / "litellm.log").symlink_to(self.gateway.log)

    def run(self, command: str, **extra: str) -> str:
        """Run a command in a shell, see it succeed, and return what it printed."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        # The tests' gateway signs its audit log; tables are as in a wide terminal.
        kept |= {"SCALIX_AUDIT_KEY": self.gateway.environment()["SCALIX_AUDIT_KEY"], "COLUMNS": "120"}
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command.replace(ADDRESS, self.gateway.url)],
            cwd=self.folder,
            env=kept | extra,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout


def run_as_written(copy: Copy, step: Step) -> str:
    return copy.run(step.command)


def run_python(copy: Copy, step: Step) -> str:
    (copy.folder / "first_request.py").write_text(step.command.replace(ADDRESS, copy.gateway.url))
    printed = copy.run(".venv/bin/python first_request.py")
    assert printed.strip()
    return printed


def run_curl(copy: Copy, step: Step) -> str:
    """As written; each of them must bring an answer of the gateway."""
    printed = copy.run(step.command)
    assert re.search(r"\{.*\}|\b429\b", printed, re.DOTALL), printed
    return printed


def run_make(copy: Copy, step: Step) -> str:
    """`make -n` shows what would run; a gateway that would be started is checked, and not started."""
    resolved = copy.run(re.sub(r"\bmake\b", "make -n", step.command, count=1))
    last = resolved.strip().splitlines()[-1].removeprefix("exec ")
    if _START in last:
        copy.run(f"{last} --check")
    else:
        assert re.search(r"-m (pytest|benchmarks)\b|^tools/", last), last
    return ""


def check_instead_of_start(copy: Copy, step: Step) -> str:
    copy.run(step.command.replace("--detach", "--check"))
    return ""


def stop_nothing(copy: Copy, step: Step) -> str:
    """The gateway belongs to all tests, so an empty state directory is stopped."""
    printed = copy.run(step.command, SCALIX_STATE_DIR=str(copy.folder / "nothing-runs-here"))
    assert printed.startswith("no gateway runs from ")
    return ""


def reload_nothing(copy: Copy, step: Step) -> str:
    """As with the stop: the tests' gateway keeps its tiers."""
    printed = copy.run(
        f"{step.command.strip()} 2>&1 || test $? -eq 3", SCALIX_STATE_DIR=str(copy.folder / "nothing-here")
    )
    assert printed.startswith("no gateway runs from ")
    return ""


def check_seams(copy: Copy, step: Step) -> str:
    """The program, in this process, which has LiteLLM loaded."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_module(step.command.split()[-1], run_name="__main__")
    return printed.getvalue()


RULES = (
    (r"(\w+=\S+ )*make \w+( ARGS=\"[^\"]*\")?", run_make),
    (rf"\.venv/bin/python {_START} --detach", check_instead_of_start),
    (rf"\.venv/bin/python {_START} --stop( --now)?", stop_nothing),
    (rf"\.venv/bin/python {_START} --reload", reload_nothing),
    (rf"\.venv/bin/python {_START} --(status|check|help)", run_as_written),
    (r"\.venv/bin/python test_scalix_litellm\.py --test [\w-]+", run_as_written),
    (r"\.venv/bin/python -m scalix \w+ .*", run_as_written),
    (r"\.venv/bin/python -m scalix\.litellm_adapter\.seam_checks", check_seams),
    (r"\.venv/bin/python -c .*", run_as_written),
    (r"(for i in .*)?curl .*", run_curl),
    (r"(cp|chmod|tail) .*", run_as_written),
    (r"grep .* \|\| echo .*", run_as_written),
    (r"echo \"sk-\$\(openssl rand -hex 32\)\"", run_as_written),
)


def rule_for(step: Step) -> Callable[[Copy, Step], str]:
    """How a step is run. A command without a rule is an error: add one, or leave the command out of the page."""
    if step.kind == "python":
        return run_python
    for pattern, rule in RULES:
        if re.fullmatch(pattern, step.command.strip(), re.DOTALL):
            return rule
    raise AssertionError(f"{step.place}: no rule says how to test this command: {step.command}")


# What differs from run to run, or between the tests' gateway and a fresh one with the demo provider.
_VARIABLE = (
    (r"\w+, \d\d \w+ \d{4} [\d:]{8} GMT", "DATE"),
    (r"(/[\w.-]+)+/(?=scalix_config|litellm_proxy|\.scalix)", "FOLDER/"),
    (r"http://127\.0\.0\.1:\d+", "ADDRESS"),
    (r"It is in the .*? tiers", "It is in TIERS"),
    (r'"available_in":\[.*?\]', '"available_in":TIERS'),
    (r"saw \d+ models \(.*?\)", "saw MODELS"),
    (r"(\d+[hm])*\d+s\b", "DURATION"),
    (r"\d+ (day|hour|minute|second)s?\b( \d+ (hour|minute|second)s?\b)*", "SPAN"),  # as the time of day has it
    (r"[0-9a-f]{8,}|\d+", "N"),
    (r"─+", "─"),
    (r" {2,}", "  "),
)


def masked(line: str) -> str:
    for pattern, name in _VARIABLE:
        line = re.sub(pattern, name, line)
    return line.strip()


def expect_output(step: Step, printed: str) -> None:
    """Every line that a page shows must have come; `...` stands for more lines, or at the end of one for its rest."""
    lines = [masked(line) for line in printed.splitlines()]
    for shown in map(masked, step.output):
        if shown.endswith("..."):
            found = any(line.startswith(shown.removesuffix("...")) for line in lines)
        else:
            found = shown in lines
        assert found, f"{step.place} shows\n{shown}\nbut this came:\n" + "\n".join(lines)


WITH_COMMANDS = [page for page, text in PAGES.items() if any(steps(page, text))]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "scalix"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    return folder


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_of_a_page_works_and_prints_what_it_shows(
    page: str, gateway: Gateway, project: Path, tmp_path: Path
) -> None:
    copy = Copy(tmp_path / "scalix", gateway)
    copy.make(project)
    for step in steps(page, PAGES[page]):
        expect_output(step, rule_for(step)(copy, step))


def test_the_pages_for_trying_things_out_have_commands() -> None:
    assert {page for page in GUIDES if page != "docs/index.md"} <= set(WITH_COMMANDS)
    assert sum(1 for page in WITH_COMMANDS for _ in steps(page, PAGES[page])) > 60


def test_a_command_without_a_rule_is_an_error() -> None:
    (step,) = steps("README.md", "```bash\nrm -rf build\n```\n")
    with pytest.raises(AssertionError, match=r"README\.md:2: no rule"):
        rule_for(step)


@pytest.mark.parametrize("page", GUIDES)
def test_blocks_of_other_kinds_hold_no_commands(page: str) -> None:
    """A fence without a language, or with one that nobody knows, would hide its commands from this test."""
    kinds = {block[1] for block in _FENCE.finditer(PAGES[page])}
    assert kinds <= {"bash", "console", "python", "yaml", "json", "text"}


def test_the_tiers_in_the_readme_are_those_of_the_shipped_config() -> None:
    from scalix.launch.config.config_file import read_config

    tiers = read_config(ROOT / "litellm_proxy_config.yaml", {}, demo=True, production=False).policy.tiers
    rows = re.findall(r"^\| (free|pro|premium) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(tiers)
    for name, row in rows:
        tier = tiers[name]
        amounts = [limit.value for limit in tier.limits.windows]
        amounts += [tier.max_output_tokens] if tier.max_output_tokens else []
        assert sorted(
            int(text.replace(",", "")) for text in re.findall(r"[\d,]*\d(?= (?:an?|tokens)\b)", row)
        ) == sorted(amounts)
