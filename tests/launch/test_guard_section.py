"""`allowed_hosts`, `ip_rules`, `overload` and `extra_body_fields` in the config file."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scalix.domain.requests.guard import GuardSettings, Overload, Queue
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import read_policy, write_policy
from scalix.launch.problems import LaunchError


def guard_of(folder: Path, **section: Any) -> GuardSettings:
    """The settings that a config with this in its `scalix:` section gives."""
    path = folder / "config.yaml"
    model = {"model_name": "m", "litellm_params": {"model": "openai/m", "api_key": "${K}"}}
    config = {"model_list": [model], "scalix": {"default_tier": "t", "tiers": {"t": {"models": ["*"]}}, **section}}
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(config, file)
    policy = read_config(path, {"K": "sk-value"}).policy
    write_policy(folder / "policy.json", 7, policy)
    assert read_policy(folder / "policy.json") == (7, policy)
    return policy.guard


def test_without_a_word_the_defaults_hold(tmp_path: Path) -> None:
    assert guard_of(tmp_path) == GuardSettings()


def test_everything_can_be_set_and_travels_to_the_workers(tmp_path: Path) -> None:
    guard = guard_of(
        tmp_path,
        allowed_hosts=["API.example.com", "*.scalix.world"],
        ip_rules={"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.0.0.1"]},
        overload={
            "in_flight": 5,
            "in_flight_per_address": 2,
            "wrong_key_delay_s": 0,
            "exempt": [],
            "queue": {"requests": 9},
        },
        extra_body_fields={"chat": ["chat_template_kwargs"]},
        cors={"origins": ["https://App.example.com/", "http://localhost:5173", "https://b.example:443", "app://notes"]},
    )
    assert guard == GuardSettings(
        allowed_hosts=("api.example.com", "*.scalix.world"),
        ip_allow=("10.0.0.0/8", "2001:db8::/32"),
        ip_deny=("10.0.0.1/32",),
        overload=Overload(in_flight=5, in_flight_per_address=2, wrong_key_delay_s=0, exempt=(), queue=Queue(9, 2)),
        extra_body_fields={"chat": ("chat_template_kwargs",)},
        cors_origins=("https://app.example.com", "http://localhost:5173", "https://b.example", "app://notes"),
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"allowed_hosts": ["https://api.example.com"]}, "no host name"),
        ({"allowed_hosts": ["api.example.com:4000"]}, "no host name"),
        ({"ip_rules": {"allow": ["10.0.0.1/8"]}}, "no network"),
        ({"ip_rules": {"allow": ["everybody"]}}, "no network"),
        ({"ip_rules": {"alow": []}}, "alow"),
        ({"overload": {"in_flight": 0}}, "whole number"),
        ({"overload": {"wrong_key_delay_s": 3600}}, "whole number"),
        ({"overload": {"exempt": ["localhost"]}}, "no network"),
        ({"overload": {"queue": {"requests": -1}}}, "whole number"),
        ({"overload": {"queue": {"wait_s": 0}}}, "whole number"),
        ({"overload": {"queue": {"wait": 2}}}, "wait_s"),
        ({"extra_body_fields": {"chats": []}}, "no metered route"),
        ({"cors": {"origins": ["app.example.com"]}}, "is no origin"),
        ({"cors": {"origins": ["https://app.example.com/chat"]}}, "without a path"),
        ({"cors": {"origins": ["null"]}}, "is no origin"),
        ({"cors": {"origins": ["https://*.example.com"]}}, "is no origin"),
        ({"extra_body_fields": {"chat": ["api_base"]}}, "steer"),
        ({"extra_body_fields": {"chat": ["a b"]}}, "no name"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, section: dict[str, Any], said: str) -> None:
    with pytest.raises(LaunchError) as caught:
        guard_of(tmp_path, **section)
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert problem.where.startswith(str(tmp_path / "config.yaml:"))
