"""The stock LiteLLM proxy, `litellm --config`, in the ways that people run it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.environments import python_environment
from benchmarks.peers.base import MASTER_KEY, MODEL, PROVIDER_MODEL, Running
from benchmarks.peers.redis_server import start_redis
from benchmarks.processes import free_port, start, wait_until_ready

VERSION = "1.106.12"
_REFUSING = """
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger


class Refusing(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        raise HTTPException(429, {"error": "rate limit exceeded"}, headers={"retry-after": "60"})


callback = Refusing()
"""
# Its own limits are kept by key. Keys need Postgres; a custom_auth that returns one with limits does not.
_LIMITED_KEY = """
from litellm.proxy._types import UserAPIKeyAuth


async def auth(request, api_key):
    return UserAPIKeyAuth(api_key="bench", user_id="bench", rpm_limit=10**9, tpm_limit=10**12)
"""


class LiteLLM:
    """As `pip install litellm[proxy]` gives it."""

    name = "litellm"
    title = "LiteLLM as installed"
    packages: Sequence[str] = (f"litellm[proxy]=={VERSION}",)
    files: ClassVar[Mapping[str, str]] = {}
    env: ClassVar[Mapping[str, str]] = {}

    def install(self) -> None:
        """See `Peer`."""
        python_environment(self._environment, self.packages)

    def start(self, folder: Path, provider_url: str) -> Running:
        """See `Peer`."""
        config = folder / "config.yaml"
        redis, store_port = self.store(folder)
        # JSON is YAML.
        config.write_text(json.dumps(self.config(provider_url, store_port), indent=2))
        for name, text in self.files.items():
            (folder / name).write_text(text)
        port, log = free_port(), folder / "litellm.log"
        binary = python_environment(self._environment, self.packages) / "litellm"
        command = [
            str(binary),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ]
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": MASTER_KEY, **self.env}
        process = start(command, folder=folder, log=log, env=env)
        wait_until_ready(process, f"http://127.0.0.1:{port}/health/liveliness", log)
        return Running(port, process, beside=redis)

    def store(self, folder: Path) -> tuple[list[Any], int]:
        """A store of its own and its port, where it uses one."""
        return [], 0

    def config(self, provider_url: str, store_port: int) -> dict[str, Any]:
        """Its config file."""
        params = {"model": f"openai/{PROVIDER_MODEL}", "api_base": f"{provider_url}/v1", "api_key": "sk-demo"}
        return {
            "model_list": [{"model_name": MODEL, "litellm_params": params}],
            "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        }

    @property
    def _environment(self) -> str:
        return "litellm" if self.packages == LiteLLM.packages else "litellm-packages"


class LiteLLMWithPackages(LiteLLM):
    """With the packages that make it faster, and no limits."""

    name = "litellm-packages"
    title = "LiteLLM with prisma, opentelemetry-sdk, httptools"
    packages = (*LiteLLM.packages, "prisma", "opentelemetry-sdk", "httptools")


class LiteLLMRefusing(LiteLLMWithPackages):
    """With a callback that refuses every request before the call, as add-ons for quotas do."""

    name = "litellm-refusing"
    title = "LiteLLM with a callback that refuses"
    files: ClassVar[Mapping[str, str]] = {"bench_refusing.py": _REFUSING}

    def config(self, provider_url: str, store_port: int) -> dict[str, Any]:
        """See `LiteLLM`."""
        settings = {"litellm_settings": {"callbacks": "bench_refusing.callback"}}
        return super().config(provider_url, store_port) | settings


class LiteLLMWithRedis(LiteLLMWithPackages):
    """With its own limits (requests and tokens a minute, by key) and its router's state in Redis."""

    name = "litellm-redis"
    title = "LiteLLM with its own Redis-backed limits"
    files: ClassVar[Mapping[str, str]] = {"bench_limited_key.py": _LIMITED_KEY}

    def store(self, folder: Path) -> tuple[list[Any], int]:
        """See `LiteLLM`."""
        process, port = start_redis(folder)
        return [process], port

    def config(self, provider_url: str, store_port: int) -> dict[str, Any]:
        """See `LiteLLM`."""
        redis = {"host": "127.0.0.1", "port": store_port}
        config = super().config(provider_url, store_port)
        config["general_settings"]["custom_auth"] = "bench_limited_key.auth"
        # With no call types nothing is cached: the store then holds the limits' counters alone.
        cache = {"type": "redis", "supported_call_types": [], **redis}
        config["litellm_settings"] = {"cache": True, "cache_params": cache}
        config["router_settings"] = {f"redis_{name}": value for name, value in redis.items()}
        return config


class LiteLLMRoutingByUse(LiteLLMWithRedis):
    """With those limits, and deployments chosen by the tokens and requests that Redis has for each (its documentation
    calls that slow, and it is what holds a provider's limit over several instances)."""

    name = "litellm-redis-routing"
    title = "LiteLLM with those and Redis-backed routing"

    def config(self, provider_url: str, store_port: int) -> dict[str, Any]:
        """See `LiteLLM`."""
        config = super().config(provider_url, store_port)
        config["router_settings"]["routing_strategy"] = "usage-based-routing-v2"
        config["model_list"][0]["litellm_params"] |= {"rpm": 10**9, "tpm": 10**12}
        return config
