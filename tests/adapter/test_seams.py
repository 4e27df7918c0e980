"""The list of names that the adapter touches: all there in the LiteLLM that is installed, and all that are touched."""

import ast
import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from litellm import utils
from litellm.proxy.proxy_server import app as litellm_app
from litellm.responses.utils import ResponsesAPIRequestUtils
from litellm.router import Router
from litellm.types.utils import StreamingChoices

from scalix.litellm_adapter import seam_checks
from scalix.litellm_adapter.seam_checks import SeamsChanged, check, problem, replace, stand
from scalix.litellm_adapter.seams import SEAMS, Seam

ADAPTER = Path(seam_checks.__file__).parent
OPTIONAL = "litellm.router:Router._increment_deployment_usage"
FOREIGN = ("litellm", "openai._", "openai.resources")


def seam(name: str) -> Seam:
    return next(one for one in SEAMS if one.name == name)


@pytest.mark.parametrize("one", SEAMS, ids=lambda one: one.name)
def test_a_name_is_as_it_must_be(one: Seam) -> None:
    assert problem(one) == ""
    check()


def test_a_needed_name_that_is_gone_is_told_with_who_needs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(ResponsesAPIRequestUtils, "decode_container_id_to_original")
    with pytest.raises(SeamsChanged) as caught:
        check()
    name = "litellm.responses.utils:ResponsesAPIRequestUtils.decode_container_id_to_original"
    said = f"{name} is not there, needed by app: the gateway does not start"
    assert str(caught.value).endswith(said)
    assert seam_checks.main() == 1
    assert capsys.readouterr().out == said + "\n"


def test_a_name_that_can_be_done_without_is_a_warning_and_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(Router, "_increment_deployment_usage")
    logging.getLogger("scalix.seams").propagate = True
    with caplog.at_level("WARNING", "scalix.seams"):
        replace(OPTIONAL, lambda own: "ours")
        assert not stand(OPTIONAL)
    check()
    assert not hasattr(Router, "_increment_deployment_usage")
    assert f"{OPTIONAL} is not there, needed by trimmed_calls: nothing is left out there" in caplog.text


def test_a_parameter_that_is_gone_and_a_thing_of_another_kind_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "get_optional_params", lambda model, provider, drop_params: None)
    assert "does not take custom_llm_provider, reasoning_effort" in problem(seam("litellm.utils:get_optional_params"))
    monkeypatch.setattr(litellm_app, "user_middleware", ())
    assert "is not of the kind 'list'" in problem(seam(f"{seam_checks.APP}.user_middleware"))
    monkeypatch.setitem(StreamingChoices.model_config, "frozen", True)
    choices = next(one for one in SEAMS if one.name == "litellm.types.utils:StreamingChoices" and one.kind)
    assert "is not of the kind 'open model'" in problem(choices)


def test_an_entry_of_a_list_and_an_attribute_of_instances_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_app, "user_middleware", litellm_app.user_middleware[:1])
    assert "is not there" in problem(seam(f"{seam_checks.APP}.user_middleware[CORSMiddleware]"))
    nothing = Seam("httpx:AsyncClient._no_such_thing", frozenset(), None, ("x",), "")
    assert "is not there" in problem(nothing)
    nowhere = Seam("litellm.no_such_module:thing", frozenset(), None, ("x",), "")
    assert "can't be imported (No module named 'litellm.no_such_module')" in problem(nowhere)


def last_of(one: Seam) -> str:
    return one.name.replace(":", ".").rpartition(".")[2].partition("[")[0]


def touched_in(path: Path) -> Iterator[str]:
    """What a module takes of LiteLLM's and of the SDK's insides: what it imports, and reads of what it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update((alias.name, alias.name) for alias in node.names if alias.name.startswith(FOREIGN))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(FOREIGN):
            for alias in node.names:
                if _is_module(f"{node.module}.{alias.name}"):
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                else:
                    yield f"{node.module}:{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}:{node.attr}"


def _is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


MODULES = sorted(path for path in ADAPTER.glob("*.py") if not path.stem.startswith("seam"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_all_that_a_module_touches_is_listed_for_it(path: Path) -> None:
    listed = {one.name for one in SEAMS if path.stem in one.users}
    of_listed = {name.partition(":")[0] + ":" + name.partition(":")[2].partition(".")[0] for name in listed}
    assert set(touched_in(path)) <= of_listed


def insides_in(path: Path) -> set[str]:
    """Private names that a module reads of what is neither its own nor of the standard library."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    ours = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    read: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute):
            holder = node.value.id if isinstance(node.value, ast.Name) else ""
            if holder not in ("self", "cls") and holder not in sys.stdlib_module_names:
                read.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            read.update(str(arg.value) for arg in node.args[1:2] if isinstance(arg, ast.Constant))
    return {name for name in read - ours if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_all_that_a_module_reads_of_anothers_insides_is_listed_for_it(path: Path) -> None:
    assert insides_in(path) <= {last_of(one) for one in SEAMS if path.stem in one.users}


@pytest.mark.parametrize("one", SEAMS, ids=lambda one: one.name)
def test_what_is_listed_is_used(one: Seam) -> None:
    for user in one.users:
        assert last_of(one) in (ADAPTER / f"{user}.py").read_text(encoding="utf-8"), user
