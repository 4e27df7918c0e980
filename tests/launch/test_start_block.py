"""The request that the start shows to be pasted."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.processes.plan import Plan, worker_environment
from scalix.launch.processes.start_block import start_block
from scalix.launch.settings.environment import load_environment, resolve_settings
from tests.launch.config_text import read

SHIPPED = Path(__file__).resolve().parent.parent.parent / "litellm_proxy_config.yaml"
TWO = """
model_list:
  - {model_name: vectors, litellm_params: {model: openai/v, api_key: "${VECTORS_KEY}"}, model_info: {mode: embedding}}
  - {model_name: dear, litellm_params: {model: openai/d, api_key: "${DEAR_KEY}"}}
  - {model_name: cheap, litellm_params: {model: openai/c, api_key: "${CHEAP_KEY}"}}
scalix: {default_tier: free, tiers: {free: {models: [vectors, cheap]}, pro: {models: ["*"]}}}
"""


def plan_of(tmp_path: Path, config: GatewayConfig, **values: str) -> Plan:
    environment = load_environment(tmp_path, values)
    return Plan(resolve_settings(environment, root=tmp_path), environment, config, demo=False)


def block(plan: Plan) -> str:
    return "\n".join(start_block(plan, url="http://127.0.0.1:4000", log_file=Path("log"), version="0"))


def requests_in(shown: str) -> list[tuple[str, dict[str, Any]]]:
    commands = [shlex.split(line) for line in re.findall(r"curl .*$", shown, re.MULTILINE)]
    return [(words[2], json.loads(words[-1])) for words in commands]


@pytest.mark.parametrize(
    ("keys", "model"),
    [
        ({"OPENROUTER_API_KEY": "canary"}, "free-wizardlm"),
        ({"GEMINI_API_KEY": "canary", "OPENAI_API_KEY": "canary"}, "free-gemini-flash"),
    ],
)
def test_the_request_is_to_a_model_in_service_by_a_user_who_may_use_it(
    tmp_path: Path, keys: dict[str, str], model: str
) -> None:
    ((url, body),) = requests_in(block(plan_of(tmp_path, read_config(SHIPPED, keys))))
    assert url == "http://127.0.0.1:4000/v1/chat/completions"
    assert (body["model"], body["user"]) == (model, "alice")


def test_where_the_usual_tier_has_no_model_in_service_a_user_of_another_is_made_first(tmp_path: Path) -> None:
    (made, user), (url, body) = requests_in(block(plan_of(tmp_path, read(tmp_path, TWO, {"DEAR_KEY": "canary"}))))
    assert (made, user) == ("http://127.0.0.1:4000/user/new", {"user_id": "alice-pro", "tier": "pro"})
    assert url.endswith("/v1/chat/completions")
    assert (body["model"], body["user"]) == ("dear", "alice-pro")


def test_the_request_is_to_a_model_that_chats(tmp_path: Path) -> None:
    keys = {"VECTORS_KEY": "canary", "CHEAP_KEY": "canary"}
    ((_, body),) = requests_in(block(plan_of(tmp_path, read(tmp_path, TWO, keys))))
    assert body["model"] == "cheap"


def test_with_no_model_in_service_it_says_what_to_set(tmp_path: Path) -> None:
    shown = block(plan_of(tmp_path, read(tmp_path, TWO, {})))
    assert "curl" not in shown
    what = "no model is in service: set VECTORS_KEY, DEAR_KEY or CHEAP_KEY"
    assert f"  try   {what}, and start again; or start with --demo\n" in shown


def test_a_worker_with_a_published_master_key_starts_in_development_only(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, read_config(SHIPPED, {}), LITELLM_MASTER_KEY="sk-1234")
    permitted = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"

    def environment(plan: Plan, key: str) -> dict[str, str]:
        return worker_environment(plan, rendered_config=tmp_path, store_url="", master_key=key, demo_url=None)

    assert environment(plan, "sk-1234")[permitted] == "true"
    assert permitted not in environment(plan, "sk-" + "5f" * 32)
    production = replace(plan, settings=replace(plan.settings, scalix_env="production"))
    assert permitted not in environment(production, "sk-1234")


def test_a_worker_has_a_home_where_its_user_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that systemd makes for the time of a run, or that an image does not know."""
    plan = plan_of(tmp_path, read_config(SHIPPED, {}))
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 54_321)
    values = worker_environment(plan, rendered_config=tmp_path, store_url="", master_key="", demo_url=None)
    assert values["HOME"] == str(plan.settings.state_dir)
    monkeypatch.undo()
    values = worker_environment(plan, rendered_config=tmp_path, store_url="", master_key="", demo_url=None)
    assert values["HOME"] == str(Path.home())
