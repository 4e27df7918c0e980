"""Instances of the gateway in this process, without LiteLLM: real services, edge and store, and a stand-in provider."""

from pathlib import Path
from typing import Any

import httpx

from scalix.edge.lifespan import Lifespan
from scalix.launch.config.config_file import read_config
from scalix.wiring.core import build_core
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.gate import Engine, build_gate
from tests.edge.gates import AsServed
from tests.service.outage_rig import MASTER_KEY, PROMPT, Provider

TOKENS = 12  # what the stand-in says that an answer took
CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
scalix:
  default_tier: free
  upgrade_url: https://scalix.world/pricing
  tiers:
    free: {models: ["*"], requests: {hour: 2, month: 1000}, tokens: {day: 10000}}
    pro: {models: ["*"], requests: {month: 5}, upgrade_url: https://scalix.world/more}
    trial: {models: ["*"], requests: {month: 1}, concurrent: 1, enforce: false}
    open: {models: ["*"]}
"""


class Instance:
    """One instance. Several with one `prefix` share their store, as the workers and instances of a gateway do."""

    def __init__(
        self, url: str, folder: Path, prefix: str, name: str, *, metrics_token: str | None = None, **environ: str
    ) -> None:
        self.config = folder / "config.yaml"
        if not self.config.exists():
            self.config.write_text(CONFIG, encoding="utf-8")
        values = {
            "SCALIX_CONFIG": str(self.config),
            "SCALIX_STORE_URL": url,
            "SCALIX_KEY_PREFIX": prefix,
            "SCALIX_STATE_DIR": str(folder / name),
            "LITELLM_MASTER_KEY": MASTER_KEY,
            **environ,
        }
        self.core = core = build_core(values, ModelKnowledge(lambda model: model, lambda encoding, text: len(text)))
        self.provider = Provider()

        async def nothing() -> Any:
            return {}

        app: Any = build_gate(
            core,
            Engine(lambda *_: self.provider, MASTER_KEY, nothing),
            Lifespan(self.provider),
            metrics_token=metrics_token,
        )
        self.http = httpx.AsyncClient(
            transport=AsServed(app),
            base_url="http://gateway",
            headers={"authorization": f"Bearer {MASTER_KEY}"},
        )

    async def ask(self, user: str) -> httpx.Response:
        """One chat completion for `user`."""
        return await self.http.post("/v1/chat/completions", json={**PROMPT, "user": user})

    def reload(self) -> None:
        """What a worker does on SIGHUP."""
        self.core.policy.replace(read_config(self.config, {}).policy)

    async def close(self) -> None:
        await self.http.aclose()
        await self.core.close()
