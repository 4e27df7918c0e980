"""This gateway: the real launcher, one worker, its own store."""

import json
import sys
import urllib.request
from pathlib import Path

from benchmarks.accounting import STORE_PROGRAMS, pin, read_stats, tree
from benchmarks.peers.base import MASTER_KEY, MODEL, PROVIDER_MODEL, Running
from benchmarks.processes import OTHER_CORES, ROOT, free_port, start, wait_until_ready

WORKERS = 1
UNLIMITED, LIMITED, EXHAUSTED, WITHOUT_MODEL = "bench-unlimited", "bench-limited", "bench-exhausted", "bench-without"
TIER_OF = {UNLIMITED: "premium", LIMITED: "pro", EXHAUSTED: "one-a-month", WITHOUT_MODEL: "without-model"}
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
    "premium": {"models": ["*"], "priority": "high", "on_store_failure": "allow"},
}


class ScalixGateway:
    """One worker. The store counts apart from it; the launcher is counted in."""

    name = "gateway"
    title = "this gateway"

    def install(self) -> None:
        """See `Peer`: it runs from the interpreter that runs the benchmark."""

    def start(self, folder: Path, provider_url: str) -> Running:
        """See `Peer`."""
        config, env_file, log = folder / "config.yaml", folder / "empty.env", folder / "terminal.log"
        config.write_text(json.dumps(_config(provider_url), indent=2))
        env_file.write_text("")
        env_file.chmod(0o600)
        port = free_port()
        options = ["--config", str(config), "--env-file", str(env_file), "--port", str(port), "--workers", str(WORKERS)]
        env = {
            "SCALIX_STATE_DIR": str(folder / "state"),
            "LITELLM_LOG_FILE": str(folder / "gateway.log"),
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "BENCH_PROVIDER_KEY": "sk-demo",
        }
        script = ROOT / "start_scalix_litellm.py"
        process = start([sys.executable, str(script), *options, "--quiet"], folder=folder, log=log, env=env)
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(process, f"{url}/health/readiness", log)
        for stat in tree(process.pid, read_stats()):
            if stat.program in STORE_PROGRAMS:
                pin(stat.pid, OTHER_CORES)
        for user, tier in TIER_OF.items():
            _post(f"{url}/user/new", {"user_id": user, "tier": tier})
        spent = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "user": EXHAUSTED}
        _post(f"{url}/v1/chat/completions", spent)
        return Running(port, process)


def _config(provider_url: str) -> dict[str, object]:
    params = {"api_base": f"{provider_url}/v1", "api_key": "${BENCH_PROVIDER_KEY}"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{PROVIDER_MODEL}", **params}}
        for name in (MODEL, "other")
    ]
    return {**_shipped_settings(), "model_list": models, "scalix": {"default_tier": "without-model", "tiers": _TIERS}}


def _shipped_settings() -> dict[str, object]:
    """The shipped config's settings, so that what is measured is what runs."""
    from ruamel.yaml import YAML

    shipped = YAML(typ="safe").load((ROOT / "litellm_proxy_config.yaml").read_text(encoding="utf-8"))
    return {name: value for name, value in shipped.items() if name not in ("model_list", "scalix")}


def _post(url: str, body: object) -> None:
    headers = {"authorization": f"Bearer {MASTER_KEY}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
