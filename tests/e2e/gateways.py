"""Starts whole gateways for tests: the real launcher, store, LiteLLM and edge, in front of the demo provider."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from ruamel.yaml import YAML

from tests.e2e.loaded import KEPT, QUICK_RETRIES, Loaded
from tests.service.token_issuer import key_set, public_jwk
from tests.store.servers import Server, free_ports, running

ROOT = Path(__file__).resolve().parent.parent.parent
MASTER_KEY = "sk-test-master-0123456789abcdef0123456789"
PROVIDER_KEY = "sk-canary-provider-5c1b7e90d2f84a66"
AUDIT_KEY = "canary-audit-key-7f20c5d1b96e4a38"
METRICS_TOKEN = "canary-metrics-token-2b9d41"
ENCRYPTION_KEY = "canary0ENCRYPTION0key0of0the0tests0alone00A="
JWT_SECRET = "canary-jwt-secret-93b1f0c27ae84d65"
SECRET_ISSUER, KEY_SET_ISSUER = "https://issuer-a.test", "https://issuer-b.test"
START_TIMEOUT_S = 100.0
# `make engines` runs tests with `litellm` in it, for gateways whose section says nothing itself.
ENGINE = os.environ.get("SCALIX_TEST_ENGINE", "")
LOADED = Loaded()
NOTHING: Mapping[str, Any] = {}

EXTRA_MODELS: tuple[dict[str, Any], ...] = (
    # A provider with another format than OpenAI's, so that LiteLLM translates.
    {
        "model_name": "free-claude-format",
        "litellm_params": {"model": "anthropic/claude-3-demo", "api_base": "${TEST_PROVIDER_ROOT}"},
        "model_info": {"max_output_tokens": 4096},
    },
    {
        "model_name": "free-claude-first",
        "litellm_params": {"model": "anthropic/claude-3-first", "api_base": "${TEST_PROVIDER_ROOT}"},
        "model_info": {"max_output_tokens": 4096},
    },
)
EXTRA_TIERS: dict[str, Any] = {
    "roomy": {"models": ["*"], "tokens": {"day": 50_000_000}, "requests": {"day": 1_000_000}},
    # Unlike paid tiers, these wait for the store when it is slow.
    "free-models": {"models": ["free-*"], "requests": {"day": 1_000_000}, "on_store_failure": "deny"},
    "all-models": {"models": ["*"], "requests": {"day": 1_000_000}, "on_store_failure": "deny"},
    "foreign-ids": {"models": ["*"], "requests": {"day": 1_000_000}, "allow_foreign_ids": True},
    "fifty": {"models": ["*"], "requests": {"day": 50}, "self_service_keys": 20},
    "thousand-tokens": {"models": ["*"], "tokens": {"day": 1000}},
    "ten-thousand-tokens": {"models": ["*"], "tokens": {"day": 10_000}},
    "two-at-once": {"models": ["*"], "concurrent": 2},
    "ten-cents": {"models": ["*"], "spend_usd": {"month": 0.1}},
    "prepaid": {"models": ["*"], "prepaid": True},
    "shadow": {"models": ["*"], "requests": {"hour": 1}, "enforce": False},
}


# A model of everybody's whose first fallback only some may use, and one of another provider's format.
EXTRA_FALLBACKS: dict[str, list[str]] = {
    "free-wizardlm": ["gpt-4", "free-claude-format"],
    "free-claude-first": ["free-gemini-pro"],
}


JWT: dict[str, Any] = {
    "issuers": [
        {"issuer": SECRET_ISSUER, "audience": "scalix", "secret": "${SCALIX_JWT_SECRET}", "user_prefix": "a:"},
        {
            "issuer": KEY_SET_ISSUER,
            "audience": "scalix",
            "jwks_file": "jwks.json",
            "tier_claim": "tier",
            "trust_tier": True,
            "user_prefix": "b:",
        },
    ]
}


def write_config(
    path: Path,
    litellm_settings: Mapping[str, Any],
    section: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Any]] = (),
    router_settings: Mapping[str, Any] | None = None,
    general_settings: Mapping[str, Any] = NOTHING,
) -> None:
    """The shipped config with every model at the test's provider, and tiers for tests beside the shipped ones.

    `section` goes over the `scalix:` section, `models` come on top. Without `section` nobody takes over from gpt-4,
    which other tests make fail.
    """
    yaml = YAML(typ="safe")
    config = yaml.load((ROOT / "litellm_proxy_config.yaml").read_text(encoding="utf-8"))
    for model in config["model_list"]:
        features = {name: value for name, value in model["litellm_params"].items() if name == "metadata"}
        model["litellm_params"] = {"model": f"openai/{model['model_name']}", "api_base": "${TEST_PROVIDER_URL}"}
        model["litellm_params"].update(features)
    config["model_list"] += [dict(model) for model in EXTRA_MODELS]
    for model in config["model_list"]:
        model["litellm_params"] = {**model["litellm_params"], "api_key": "${TEST_PROVIDER_KEY}"}
    config["scalix"]["tiers"].update(EXTRA_TIERS)
    config["scalix"]["tiers"]["pro"]["self_service_keys"] = 20
    config["scalix"]["fallbacks"] |= EXTRA_FALLBACKS
    del config["scalix"]["fallbacks"]["gpt-4"]
    config["scalix"]["cooldown"] = {"seconds": 0}
    config["model_list"] += map(dict, models)
    if ENGINE:
        config["scalix"]["engine"] = ENGINE
    config["scalix"].update(section or {})
    config["scalix"]["jwt"] = JWT
    config["litellm_settings"].update(litellm_settings)
    if router_settings:
        config["router_settings"] = {**config.get("router_settings", {}), **router_settings}
    config["general_settings"] = {**(config.get("general_settings") or {}), **general_settings}
    path.with_name("jwks.json").write_bytes(key_set(public_jwk("EdDSA", "e2e")))
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(config, file)


@dataclass
class Gateway:
    """One running gateway. `folder` holds its config, state, and log. Its commands are run, and its programs are
    forked, by a process that has LiteLLM loaded."""

    folder: Path
    provider_url: str
    options: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    litellm_settings: Mapping[str, Any] = field(default_factory=dict)
    section: Mapping[str, Any] = field(default_factory=dict)
    models: Sequence[Mapping[str, Any]] = ()
    router_settings: Mapping[str, Any] = field(default_factory=dict)
    general_settings: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    master_key: str = MASTER_KEY

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "litellm.log"

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {
            "SCALIX_STATE_DIR": str(self.state_dir),
            "SCALIX_CONFIG": str(self.folder / "config.yaml"),
            "LITELLM_LOG_FILE": str(self.log),
            "LITELLM_MASTER_KEY": self.master_key,
            "SCALIX_JWT_SECRET": JWT_SECRET,
            "SCALIX_AUDIT_KEY": AUDIT_KEY,
            "SCALIX_METRICS_TOKEN": METRICS_TOKEN,
            "SCALIX_ENCRYPTION_KEY": ENCRYPTION_KEY,
            "TEST_PROVIDER_URL": f"{self.provider_url}/v1",
            "TEST_PROVIDER_ROOT": self.provider_url,
            "TEST_PROVIDER_KEY": PROVIDER_KEY,
            **QUICK_RETRIES,
            "LITELLM_MAX_WORKERS": "1",
            **self.extra,
        }

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the launcher's command to its end, against this gateway's state directory."""
        return LOADED.command(arguments, env=self.environment(), cwd=self.folder, timeout_s=START_TIMEOUT_S)

    def start(self) -> "Gateway":
        """Start in the background and return when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, router = self.folder / "config.yaml", self.router_settings
        write_config(path, self.litellm_settings, self.section, self.models, router, self.general_settings)
        done = self.command("--detach", "--port", "0", *self.options)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log_text()[-4000:]}"
        status = json.loads(self.command("--status", "--json").stdout)
        self.url = status["address"]
        return self

    def stop(self) -> None:
        self.command("--stop")

    def launcher(self) -> psutil.Process:
        """The launcher's process."""
        return psutil.Process(json.loads(self.command("--status", "--json").stdout)["pid"])

    def workers(self) -> list[psutil.Process]:
        """The workers' processes."""
        status = json.loads(self.command("--status", "--json").stdout)
        return [psutil.Process(worker["pid"]) for worker in status["workers"]]

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def client(self, key: str | None = None) -> httpx.Client:
        """An HTTP client that sends the master key, or another."""
        headers = {"authorization": f"Bearer {key or self.master_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)


@contextmanager
def instances(
    folder: Path, provider_url: str, *, rights: tuple[str, ...] = (), number: int = 2, **more: Any
) -> Iterator[list[Gateway]]:
    """Gateways of two workers each, which have a store in common and nothing else. With `rights` (an ACL's rules) they
    are a user of the store that has no others. `more` is what they are besides."""
    with running(Server(folder / "store", free_ports(1)[0])) as store:
        url = store.url
        if rights:
            store.admin.execute_command("ACL", "SETUSER", "gateway", "on", ">of-the-tests", "~*", *rights)
            url = url.replace("redis://", "redis://gateway:of-the-tests@")
        gateways = [
            Gateway(folder / name, provider_url, options=("--workers", "2"), extra={"REDIS_URL": url}, **more)
            for name in ("one", "two", "three")[:number]
        ]
        try:
            yield [gateway.start() for gateway in gateways]
        finally:
            for gateway in gateways:
                gateway.stop()
