"""Starts stock LiteLLM with the callbacks alone (plain mode), as `litellm --config` does, over a store of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from scalix.launch.processes.child_process import die_with_parent
from tests.e2e.gateways import JWT_SECRET, MASTER_KEY, PROVIDER_KEY, ROOT, SECRET_ISSUER, START_TIMEOUT_S
from tests.store.servers import Server, free_ports, running

MODEL, QUIET = "free-plain", "free-quiet"  # the second is configured not to be logged
DEAR = "dear"  # a fallback of both by LiteLLM's settings, which no tier has
_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/plain, api_base: "{provider}/v1", api_key: os.environ/TEST_PROVIDER_KEY}}
    model_info: {{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002, max_output_tokens: 4096}}
  - model_name: {quiet}
    litellm_params: {{model: openai/q, api_base: "{provider}/v1", api_key: os.environ/TEST_PROVIDER_KEY, no-log: true,
      silent_model: {dear},
      fallbacks: [{{model: openai/dear, api_base: "{provider}/v1", api_key: os.environ/TEST_PROVIDER_KEY}}]}}
    model_info: {{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002, max_output_tokens: 4096}}
  - model_name: {dear}
    litellm_params: {{model: openai/dear, api_base: "{provider}/v1", api_key: os.environ/TEST_PROVIDER_KEY}}
    model_info: {{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002, max_output_tokens: 4096}}
litellm_settings:
  callbacks: scalix_callbacks.gateway_callbacks
  num_retries: 0
  context_window_fallbacks: [{{{model}: [{dear}]}}]
  default_fallbacks: [{dear}]
router_settings:
  num_retries: 0
  fallbacks: [{{{model}: [{dear}]}}]
  content_policy_fallbacks: [{{{model}: [{dear}]}}]
general_settings: {{custom_auth: scalix_callbacks.custom_auth, master_key: os.environ/LITELLM_MASTER_KEY}}
scalix:
  default_tier: free
  jwt: {{issuers: [{{issuer: "{issuer}", audience: scalix, secret: "${{SCALIX_JWT_SECRET}}"}}]}}
  tiers:
    free: {{requests: {{day: 1000}}, tokens: {{day: 1000000}}, models: ["free-*"]}}
"""


class PlainGateway:
    """One running proxy, and the store that its callbacks count in."""

    def __init__(self, url: str, store: Server, log: Path) -> None:
        self.url = url
        self.store = store
        self.log = log

    def client(self, key: str = MASTER_KEY) -> httpx.Client:
        """An HTTP client that sends the master key, or another."""
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    def in_flight(self, user: str) -> int:
        """How many of the user's requests have been admitted and not settled."""
        return sum(self.store.admin.hlen(key) for key in self.store.admin.scan_iter(f"scalix:*:f:user:{user}"))

    def charged(self, user: str) -> list[str]:
        """The user's entries in the ledger."""
        names = self.store.admin.scan_iter(f"scalix:*:e:user:{user}:*")
        return [entry for name in names for entry in self.store.admin.hvals(name)]


@contextmanager
def plain_gateway(folder: Path, provider_url: str) -> Iterator[PlainGateway]:
    """`litellm --config` on a free port, until the block ends."""
    config = folder / "config.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(
        _CONFIG.format(model=MODEL, quiet=QUIET, dear=DEAR, provider=provider_url, issuer=SECRET_ISSUER),
        encoding="utf-8",
    )
    (port,) = free_ports(1)
    with running(Server(folder / "store", free_ports(1)[0])) as store, (folder / "log").open("wb") as log:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "CONFIG_FILE_PATH": str(config),
            "REDIS_URL": store.url,
            "SCALIX_STATE_DIR": str(folder / "state"),
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "TEST_PROVIDER_KEY": PROVIDER_KEY,
            "SCALIX_JWT_SECRET": JWT_SECRET,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        litellm = Path(sys.executable).with_name("litellm")
        process = subprocess.Popen(
            [litellm, "--config", config, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(),
        )
        gateway = PlainGateway(f"http://127.0.0.1:{port}", store, folder / "log")
        try:
            _wait_until_up(gateway, process, folder / "log")
            yield gateway
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_up(gateway: PlainGateway, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            if httpx.get(f"{gateway.url}/health/liveliness", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.2)
