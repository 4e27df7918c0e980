"""LiteLLM configs as people write them start with the demo provider, and answer at their first chat model."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateways import LOADED, MASTER_KEY, START_TIMEOUT_S
from tests.e2e.loaded import KEPT, QUICK_RETRIES
from tests.launch.config_cases import CONFIGS, REFUSED, config_at, dummies
from tests.launch.running import eventually

# One for each thing that only a start shows: a master key of another name, all kinds of wildcards, and modules beside
# the config that watch and refuse.
QUICK = ("16-vllm-key-defaults.yaml", "23-guardrail.yaml", "15-provider-stars.yaml", "17-module-beside.yaml")
ALL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.soak) for name in CONFIGS if name != REFUSED]


@contextmanager
def running(folder: Path, name: str) -> Iterator[httpx.Client]:
    """A gateway with one config, as the operator's client sees it."""
    store = ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD")  # the gateway's own comes along
    environ = {key: os.environ[key] for key in KEPT if key in os.environ} | QUICK_RETRIES
    environ |= dummies(name, without=store) | {
        "SCALIX_STATE_DIR": str(folder / "state"),
        "LITELLM_LOG_FILE": str(folder / "gateway.log"),
        "SEEN_FILE": str(folder / "seen"),
        "LITELLM_MASTER_KEY": MASTER_KEY,
    }
    key = {"16-vllm-key-defaults.yaml": environ.get("MY_MASTER_KEY"), "25-plain-keys.yaml": PLAIN_KEY}.get(name)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return LOADED.command(arguments, env=environ, cwd=folder, timeout_s=START_TIMEOUT_S)

    path = config_at(folder, name)
    try:
        done = command("--demo", "--detach", "--port", "0", "--config", str(path))
        log = folder / "gateway.log"
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()[-3000:] if log.exists() else ''}"
        url = json.loads(command("--status", "--json").stdout)["address"]
        headers = {"authorization": f"Bearer {key or MASTER_KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            yield http
    finally:
        command("--stop")


PLAIN_KEY = "sk-my-own-master-key-7f3a9b2c4d5e6f708192"


def answers(http: httpx.Client, model: str, **body: object) -> httpx.Response:
    return http.post(
        "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "hi"}], **body}
    )


@pytest.mark.parametrize("name", ALL)
def test_a_config_starts_as_it_is_with_the_demo_provider_and_answers(tmp_path: Path, name: str) -> None:
    with running(tmp_path, name) as http:
        names = [item["id"] for item in http.get("/v1/models").json()["data"]]
        chat = next(one for one in names if "embed" not in one)
        answer = answers(http, chat)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
        if name == "15-provider-stars.yaml":
            # What LiteLLM's map knows of a provider; of a server of one's own, any name.
            assert "openai/gpt-5-mini" in names
            assert answers(http, "openai/gpt-5-mini").status_code == 200
            assert answers(http, "lm/whatever-it.serves:7b").status_code == 200
            refused = [
                answers(http, wrong).status_code for wrong in ("openai/nobody-knows", "lm/../x", "lm/a,b", "lm/")
            ]
            assert refused == [404, 404, 404, 404]
        if name == "20-claude-on-others.yaml":
            assert "claude-haiku-4-5" in names
            assert answers(http, "claude-haiku-4-5").headers["x-scalix-model-served"] == "claude-sonnet-4-6"
            assert answers(http, "claude-opus-4-6[1m]").status_code == 200
        if name == "17-module-beside.yaml":
            # It has seen the calls of the start, too.
            before = (tmp_path / "seen").read_text()
            assert answers(http, chat).status_code == 200
            eventually(lambda: (tmp_path / "seen").read_text() == before + "seen\n", "the callback to be called")
        if name == "23-guardrail.yaml":
            said = http.post(
                "/v1/chat/completions",
                json={"model": chat, "messages": [{"role": "user", "content": "a forbidden thing"}]},
            )
            assert said.status_code == 400, said.text
            assert "forbidden word" in said.json()["error"]["message"]
