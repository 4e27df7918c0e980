"""The policy as a gateway has written it, read without pydantic: the very same."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.api.plain_policy import read_plain_policy
from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.api.test_tracking import CONFIG

ROOT = Path(__file__).resolve().parent.parent.parent
FULL = """
  upgrade_url: https://scalix.world/pricing
  fallbacks: {free-model: [unpriced]}
  retention: {audit_days: 9}
  ip_rules: {allow: [10.0.0.0/8]}
  extra_body_fields: {chat: [top_k]}
"""


@pytest.mark.parametrize("text", [CONFIG, CONFIG + FULL, (ROOT / "litellm_proxy_config.yaml").read_text("utf-8")])
def test_a_policy_is_read_as_it_was_written(tmp_path: Path, text: str) -> None:
    config, file = tmp_path / "config.yaml", tmp_path / "policy.json"
    config.write_text(text, encoding="utf-8")
    policy = read_config(config, {"SCALIX_DEMO_URL": "http://127.0.0.1:0"}, demo=True).policy
    write_policy(file, 1, policy)
    assert read_plain_policy(file) == read_policy(file)[1] == policy


@pytest.mark.parametrize(
    "change",
    [
        lambda policy: policy.pop("tiers"),
        lambda policy: policy.update(more=1),
        lambda policy: policy.update(default_tier=5),
        lambda policy: policy.update(tiers=[]),
        lambda policy: policy["tiers"]["free"].update(priority="middling"),
    ],
)
def test_what_another_version_has_written_is_left_to_the_reader_that_knows_more(tmp_path: Path, change: Any) -> None:
    config, file = tmp_path / "config.yaml", tmp_path / "policy.json"
    config.write_text(CONFIG, encoding="utf-8")
    write_policy(file, 1, read_config(config, {}).policy)
    content = orjson.loads(file.read_bytes())
    change(content["policy"])
    file.write_bytes(orjson.dumps(content))
    with pytest.raises(ValueError, match=r"policy|members|kind"):
        read_plain_policy(file)
