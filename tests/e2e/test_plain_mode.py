"""The same callbacks under LiteLLM's own command, without the edge: what they admit they settle."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.e2e.gateways import MASTER_KEY, ROOT
from tests.e2e.scripted_provider import scripted
from tests.e2e.test_who_is_to_blame import proper
from tests.store.servers import Server, free_ports, running

CONFIG = """
model_list:
  - model_name: plain
    litellm_params: {{model: openai/plain, api_base: "{url}/v1", api_key: none}}
    model_info: {{max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}}
general_settings: {{custom_auth: scalix_callbacks.custom_auth}}
litellm_settings: {{callbacks: scalix_callbacks.gateway_callbacks}}
scalix:
  default_tier: free
  tiers: {{free: {{models: ["*"], requests: {{day: 100}}, tokens: {{day: 100000}}}}}}
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, "redis.Redis[str]"]]:
    folder: Path = tmp_path_factory.mktemp("plain")
    (port,) = free_ports(1)
    with scripted(proper) as provider, running(Server(folder / "store", free_ports(1)[0])) as store:
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(url=provider.url), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": store.url,
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "SCALIX_CONFIG": str(config),
            "SCALIX_STATE_DIR": str(folder / "state"),
        }
        command = [str(Path(sys.executable).parent / "litellm"), "--config", str(config), "--port", str(port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 90
            while True:
                try:
                    httpx.get(f"{url}/health/liveliness", timeout=2, trust_env=False)
                    break
                except httpx.HTTPError:
                    assert process.poll() is None, (folder / "log").read_text()[-3000:]
                    assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
                    time.sleep(0.2)
            yield url, redis.Redis.from_url(store.url, decode_responses=True)
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("more", [{}, {"no-log": True}])
def test_a_request_that_asks_not_to_be_logged_is_settled_all_the_same(
    plain: tuple[str, "redis.Redis[str]"], more: dict[str, object]
) -> None:
    url, store = plain
    user = f"user-{len(more)}"
    body = {"model": "plain", "user": user, "messages": [{"role": "user", "content": "hi"}], **more}
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    # The requests in flight of a subject are a hash that goes with the last of them.
    deadline = time.monotonic() + 10
    while held := list(store.scan_iter(f"*:f:user:{user}")):
        assert time.monotonic() < deadline, held
        time.sleep(0.05)
    events = [store.hvals(key) for key in store.scan_iter(f"*:e:user:{user}:*")]
    assert sum(map(len, events)) == 1, list(store.scan_iter("*"))
