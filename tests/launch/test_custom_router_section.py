"""`custom_router` of a route: the operator's own function is tried when the config is read."""

import os
from pathlib import Path

import pytest

from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import read_policy, write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.reload import prepared
from tests.launch.test_reload import running
from tests.launch.test_routes_section import CONFIG

GOOD = "def choose(user_id, model, messages):\n    return None\n"


def _config(folder: Path, function: str, module: str | None = GOOD, rules: str = "free: {models: [free-a]}") -> Path:
    path = folder / "config.yaml"
    route = f"    auto:\n      custom_router: {function}\n" + (f"      {rules}\n" if rules else "")
    path.write_text(CONFIG + route, encoding="utf-8")
    if module is not None:
        (folder / "my_routing.py").write_text(module, encoding="utf-8")
    return path


def _problems(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(LaunchError) as caught:
        read_config(path, {})
    return [(one.what, one.fix) for one in caught.value.problems]


def test_the_functions_name_reaches_the_workers_and_its_rules_stay(tmp_path: Path) -> None:
    policy = read_config(_config(tmp_path, "my_routing:choose"), {}).policy
    write_policy(tmp_path / "policy.json", 1, policy)
    for held in (policy, read_policy(tmp_path / "policy.json")[1]):
        assert held.custom_routers == {"auto": "my_routing:choose"}
        assert list(held.routes["auto"]) == ["free"]


def test_a_file_without_one_has_none_and_begins_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", None)
    (tmp_path / "config.yaml").write_text(CONFIG + "    auto: {free: {models: [free-a]}}\n", encoding="utf-8")
    assert read_config(tmp_path / "config.yaml", {}).policy.custom_routers == {}


@pytest.mark.parametrize(
    ("function", "module", "what", "fix"),
    [
        ("my_routing", GOOD, "custom_router of the route 'auto' names no function", "write package.module:function"),
        ("no_such:choose", GOOD, "there is no module 'no_such'", "put it into {folder}, beside the config file"),
        ("my_routing.deep:choose", GOOD, "imports 'my_routing.deep'|there is no module 'my_routing.deep'", ""),
        ("my_routing:chose", GOOD, "the module 'my_routing' has no 'chose'", "write def custom_router(user_id, model"),
        ("my_routing:choose", "choose = 5\n", "it is no function but a int", "write def custom_router("),
        ("my_routing:choose", "import no_package\n", "imports 'no_package', which is missing", "install it"),
        (
            "my_routing:choose",
            "def choose(user_id):\n    pass\n",
            "it can't be called with user_id, model and messages: it is choose(user_id)",
            "write def custom_router(user_id, model, messages)",
        ),
        ("my_routing:choose", "async def choose(a, b, c):\n    pass\n", "it is async, and is called in a thread", ""),
        (
            "my_routing:choose",
            "def choose(:\n",
            "importing it fails: SyntaxError at {folder}/my_routing.py:1",
            "correct",
        ),
        (
            "my_routing:choose",
            "\nraise ValueError('canary-secret')\n",
            "importing it fails: ValueError at {folder}/my_routing.py:2",
            "correct the module",
        ),
        ("my_routing:choose", "import os\nos._exit(3)\n", "importing it ends the process", "correct the module"),
        ("my_routing:choose", "import sys\nsys.exit('canary')\n", "importing it fails: SystemExit", "correct"),
    ],
)
def test_a_function_that_can_not_be_called_is_one_problem_with_its_remedy(
    function: str, module: str, what: str, fix: str, tmp_path: Path
) -> None:
    (told,) = _problems(_config(tmp_path, function, module))
    assert any(part.format(folder=tmp_path) in told[0] for part in what.split("|")), told
    assert fix.format(folder=tmp_path) in told[1]
    assert "canary" not in str(told)


def test_what_a_module_prints_and_begins_keeps_nobody(tmp_path: Path) -> None:
    module = "import threading, time\nprint('{')\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    assert read_config(_config(tmp_path, "my_routing:choose", module + GOOD), {}).policy.custom_routers


def test_the_gateways_variables_are_there_when_it_is_imported(tmp_path: Path) -> None:
    path = _config(tmp_path, "my_routing:choose", "import os\nos.environ['MINE_OF_THE_FILE']\n" + GOOD)
    assert read_config(path, {"MINE_OF_THE_FILE": "1"}).policy.custom_routers
    assert "KeyError" in _problems(path)[0][0]


def test_a_route_with_nothing_else_is_nobodys(tmp_path: Path) -> None:
    (told,) = _problems(_config(tmp_path, "my_routing:choose", rules=""))
    assert told[0] == "the route 'auto' names no tier beside its custom_router, and so nobody has it"


def test_a_reload_tries_the_code_of_now_and_changes_nothing_where_it_fails(tmp_path: Path) -> None:
    path = _config(tmp_path, "my_routing:choose")
    before = running(path)
    change, entry = prepared(before, 2)
    assert change is not None
    assert not entry.problems
    (tmp_path / "my_routing.py").write_text("def choose(user_id):\n    pass\n", encoding="utf-8")
    os.utime(tmp_path / "my_routing.py", (1, 1))
    change, entry = prepared(before, 3)
    assert change is None
    assert "it can't be called with user_id, model and messages" in entry.problems[0]
