"""This gateway: the real launcher, one worker unless said, its own store unless given another."""

import json
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.accounting import STORE_PROGRAMS, pin, read_stats, tree
from benchmarks.peers.base import MASTER_KEY, MODEL, PROVIDER_MODEL, Running
from benchmarks.processes import OTHER_CORES, PEER_CORES, ROOT, free_port, start, wait_until_ready

UNLIMITED, LIMITED, EXHAUSTED, WITHOUT_MODEL = "bench-unlimited", "bench-limited", "bench-exhausted", "bench-without"
ALL_LIMITS = "bench-all-limits"
TIER_OF = {
    UNLIMITED: "premium",
    LIMITED: "pro",
    ALL_LIMITS: "all-limits",
    EXHAUSTED: "one-a-month",
    WITHOUT_MODEL: "without-model",
}
# The product's tiers, with room for as many requests as a benchmark makes.
_TIERS = {
    "without-model": {"models": ["other"], "requests": {"hour": 10**6}},
    "one-a-month": {"models": [MODEL], "requests": {"month": 1}},
    "pro": {
        "models": ["*"],
        "requests": {"hour": 10**9},
        "tokens": {"day": 10**12},
        "max_output_tokens": 8192,
        "on_store_failure": "allow",
    },
    "all-limits": {
        "models": ["*"],
        "requests": {"minute": 10**6, "hour": 10**9, "day": 10**9},
        "tokens": {"hour": 10**12, "day": 10**12},
        "spend_usd": {"month": 10**6},
        "concurrent": 1_000,
        "max_output_tokens": 8192,
        "on_store_failure": "allow",
    },
    "premium": {"models": ["*"], "priority": "high", "on_store_failure": "allow"},
}


@dataclass(slots=True)
class ScalixGateway:
    """The store counts apart from it; the launcher is counted in. `env` is added to its environment, `settings` to its
    config, section by section."""

    name: str = "gateway"
    title: str = "this gateway"
    workers: int = 1
    cores: frozenset[int] = frozenset(PEER_CORES)
    env: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def install(self) -> None:
        """See `Peer`: it runs from the interpreter that runs the benchmark."""

    def start(self, folder: Path, provider_url: str) -> Running:
        """See `Peer`."""
        config, env_file, log = folder / "config.yaml", folder / "empty.env", folder / "terminal.log"
        config.write_text(json.dumps(_config(provider_url, self.settings), indent=2))
        env_file.write_text("")
        env_file.chmod(0o600)
        port = free_port()
        options = ["--config", str(config), "--env-file", str(env_file), "--port", str(port)]
        options += ["--workers", str(self.workers)]
        env = {
            "SCALIX_STATE_DIR": str(folder / "state"),
            "LITELLM_LOG_FILE": str(folder / "gateway.log"),
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "BENCH_PROVIDER_KEY": "sk-demo",
            **self.env,
        }
        script = ROOT / "start_scalix_litellm.py"
        process = start(
            [sys.executable, str(script), *options, "--quiet"], folder=folder, log=log, env=env, cores=set(self.cores)
        )
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(process, f"{url}/health/readiness", log)
        for stat in tree(process.pid, read_stats()):
            if stat.program in STORE_PROGRAMS:
                pin(stat.pid, OTHER_CORES)
        for user, tier in TIER_OF.items():
            create_user(url, user, tier)
        ask(url, EXHAUSTED)
        return Running(port, process)


def create_user(url: str, user: str, tier: str) -> None:
    """Make a user of the gateway at `url`."""
    _post(f"{url}/user/new", {"user_id": user, "tier": tier})


def ask(url: str, user: str) -> None:
    """One request of `user`."""
    spent = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "user": user}
    _post(f"{url}/v1/chat/completions", spent)


def _config(provider_url: str, settings: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    params = {"api_base": f"{provider_url}/v1", "api_key": "${BENCH_PROVIDER_KEY}"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{PROVIDER_MODEL}", **params}}
        for name in (MODEL, "other")
    ]
    shipped = _shipped_settings()
    sections = {name: {**shipped.get(name, {}), **settings.get(name, {})} for name in {**shipped, **settings}}
    scalix = {"default_tier": "without-model", "tiers": _TIERS, **settings.get("scalix", {})}
    return {**sections, "model_list": models, "scalix": scalix}


def _shipped_settings() -> dict[str, dict[str, object]]:
    """The settings of the shipped config, so that the measured gateway is the real one."""
    from ruamel.yaml import YAML

    shipped = YAML(typ="safe").load((ROOT / "litellm_proxy_config.yaml").read_text(encoding="utf-8"))
    return {name: value for name, value in shipped.items() if name not in ("model_list", "scalix")}


def _post(url: str, body: object) -> None:
    headers = {"authorization": f"Bearer {MASTER_KEY}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
