"""Import directions, read from the source: domain <- store, service <- edge, litellm_adapter <- wiring <- cli."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "scalix"

MAY_IMPORT = {
    "domain": {"domain"},
    "store": {"domain", "store"},
    "service": {"domain", "store", "service"},
    "edge": {"domain", "store", "service", "edge"},
    "pages": {"domain", "store", "service", "edge", "pages"},
    "direct_engine": {"domain", "service", "direct_engine"},
    "litellm_adapter": {"domain", "store", "service", "litellm_adapter"},
    "serving": {"serving"},
    "launch": {"domain", "store", "serving", "launch"},
    "api": {"domain", "store", "service", "launch", "api"},
    "wiring": {
        "domain",
        "store",
        "service",
        "edge",
        "pages",
        "direct_engine",
        "litellm_adapter",
        "serving",
        "launch",
        "wiring",
    },
    "__main__": {"cli"},
    "cli": {"domain", "store", "service", "edge", "litellm_adapter", "serving", "launch", "wiring", "cli"},
}
# What the root scripts may import, and the modules that start our processes by name.
ROOT_SCRIPTS = {
    "start_scalix_litellm.py": {"cli"},
    "test_scalix_litellm.py": {"cli"},
    "scalix_callbacks.py": {"litellm_adapter", "wiring", "api"},
}


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """What of a file the rules are about: its imports and its calls, function bodies included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call))


def imports_of(path: Path) -> set[str]:
    """Every module that `path` imports anywhere in it."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


# Tasks that end with the request which begins them, and so may see what is its own.
MAY_BEGIN_TASKS = {
    "store/connection/background.py": "the one place for all others",
    "edge/clients.py": "watches the client while its request is served",
    "edge/guard.py": "watches the client while its request waits for a place",
    "edge/unmetered_reads.py": "watches the client while what it wants to see is read",
    "edge/streamed_answers.py": "sends to the client of the request",
    "service/answers/stream_reading.py": "reads the provider's answer to the request",
    "api/runtime.py": "from threads of the caller's into a loop that serves no requests",
    "store/ledger/redis_ledger.py": "reads ahead for the call, which waits for all of it",
}
TASK_MAKERS = {"create_task", "ensure_future", "Task", "TaskGroup", "run_coroutine_threadsafe"}


def task_makers_in(path: Path) -> set[str]:
    """How `path` begins tasks, whatever it calls them on or imports them as."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.add(node.func.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names if node.module == "asyncio")
    return found & TASK_MAKERS


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
DOMAIN = sorted((PACKAGE / "domain").rglob("*.py"))
ROOMS = pytest.mark.parametrize("room", sorted(MAY_IMPORT))


def files_of(room: str) -> Iterator[tuple[str, Path]]:
    """Each source of a room, with its name in the package."""
    return ((str(path.relative_to(PACKAGE)), path) for path in SOURCES if room_of(path) == room)


@ROOMS
def test_a_module_imports_only_what_its_room_may(room: str) -> None:
    inner = {
        name: {module.split(".")[1] for module in imports_of(path) if module.startswith("scalix.")} - {"__version__"}
        for name, path in files_of(room)
    }
    assert not {name: rooms - MAY_IMPORT[room] for name, rooms in inner.items() if rooms - MAY_IMPORT[room]}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT.keys() - {"litellm_adapter"}))
def test_only_the_adapter_imports_litellm(room: str) -> None:
    assert not [
        name for name, path in files_of(room) if "litellm" in {module.split(".")[0] for module in imports_of(path)}
    ]


def test_the_domain_uses_the_standard_library_only_and_reads_no_clock() -> None:
    outer = {name: {module.split(".")[0] for module in imports_of(path)} for name, path in files_of("domain")}
    allowed = {"scalix", *sys.stdlib_module_names, "re2"}  # which reads no more than the text it is given
    allowed -= {"time", "socket", "asyncio", "os", "pathlib", "random", "secrets"}
    assert not {name: modules - allowed for name, modules in outer.items() if modules - allowed}


@ROOMS
def test_a_task_that_outlives_its_request_has_nothing_of_it(room: str) -> None:
    """What begins tasks passes its context on, with the store time of the request and its exchange."""
    makers = {name: found for name, path in files_of(room) if (found := task_makers_in(path))}
    assert makers.keys() == {name for name, _ in files_of(room)} & MAY_BEGIN_TASKS.keys()


def test_every_module_is_looked_at() -> None:
    names = {str(path.relative_to(PACKAGE)) for path in SOURCES}
    assert names >= MAY_BEGIN_TASKS.keys()
    assert {room_of(path) for path in SOURCES} == MAY_IMPORT.keys()
    assert {str(path.relative_to(PACKAGE)) for path in DOMAIN} == {name for name in names if name.startswith("domain/")}
    assert len(DOMAIN) > 50


@pytest.mark.parametrize("script", sorted(ROOT_SCRIPTS))
def test_a_root_script_only_hands_over(script: str) -> None:
    inner = {name.split(".")[1] for name in imports_of(ROOT / script) if name.startswith("scalix.")}
    assert inner <= ROOT_SCRIPTS[script]
