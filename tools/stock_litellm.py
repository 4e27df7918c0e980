"""Starts stock LiteLLM and the gateway beside it with each config of tests/cases/configs, asks both the same, and
writes what they did: `python -m tools.stock_litellm [NAME …]`, some ten minutes. docs/from-litellm.md is made from it.

A scripted provider stands in for every server whose address the config or one of LiteLLM's variables can name; the
others are out of reach. The gateway is started with `--demo`.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from scalix.launch.processes.child_process import die_with_parent
from tests.e2e.gateways import MASTER_KEY
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_config_cases import running
from tests.e2e.test_who_is_to_blame import proper
from tests.launch.config_cases import CASES, CONFIGS, ENFORCED, KINDS, REFUSED, config_at, dummies
from tests.store.servers import free_ports

FOUND = CASES / "stock.json"
START_S = 180
_ADDRESS = re.compile(r"http://[a-z0-9.-]+:\d+|https://llm\.example\.org")
_BASES = ("OPENAI", "ANTHROPIC", "GEMINI", "MISTRAL", "GROQ", "OPENROUTER", "TOGETHER_AI", "COHERE")
_CHAT = [{"role": "user", "content": "hi"}]
_ANSWERS_WITHOUT_CHAT = ("embed", "rank", "speak", "picture")


@contextmanager
def stock(folder: Path, config: Path, variables: Mapping[str, str], key: str) -> Iterator[tuple[httpx.Client, Path]]:
    """`litellm --config` on a free port, and its log. Raises `RuntimeError` with its last words if it ends."""
    (port,) = free_ports(1)
    log = folder / "litellm.log"
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environ |= {"LITELLM_MASTER_KEY": MASTER_KEY, **variables, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [Path(sys.executable).with_name("litellm"), "--config", config.name, "--host", "127.0.0.1"]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=environ, cwd=folder, stdout=written, stderr=written,
            preexec_fn=die_with_parent(),
        )  # fmt: skip
    headers = {"authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=90, trust_env=False) as http:
            _wait_until_up(http, process, log)
            yield http, log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(http: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if http.get("/health/liveliness").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            raise RuntimeError(_last_words(log))
        if time.monotonic() > deadline:
            raise RuntimeError(f"not up after {START_S} s. {_last_words(log)}")
        time.sleep(0.2)


def stock_case(folder: Path, name: str, provider: Provider) -> dict[str, Any]:
    """What stock LiteLLM does with one config: its words if it does not start, else what it lists and answers."""
    path = config_at(folder, name)
    for file in (path, folder / "beside/models.yaml"):
        file.write_text(_ADDRESS.sub(provider.url, file.read_text(encoding="utf-8")), encoding="utf-8")
    variables = dummies(name) | {f"{base}_API_BASE": f"{provider.url}/v1" for base in _BASES}
    variables |= {
        "ANTHROPIC_API_BASE": provider.url,
        "GEMINI_API_BASE": provider.url,
        "SEEN_FILE": str(folder / "seen"),
    }
    variables |= {"OPENAI_BASE_URL": f"{provider.url}/v1", "AZURE_API_BASE": provider.url}
    variables |= {"SCALIX_ENGINE_URL": f"{provider.url}/v1"}
    key = variables.get("MY_MASTER_KEY") or variables.get("LITELLM_MASTER_KEY") or MASTER_KEY
    if plain := re.search(r"master_key: (sk-\S+?)\}", path.read_text(encoding="utf-8")):
        key = plain.group(1)
    try:
        with stock(folder, path, variables, key) as (http, log):
            return {"starts": True, **_asked(http, provider), "log": _complaints(log)}
    except RuntimeError as error:
        return {"starts": False, "log": [str(error)]}


def _asked(http: httpx.Client, provider: Provider | None = None) -> dict[str, Any]:
    names = [item["id"] for item in http.get("/v1/models").json()["data"]]
    chat = next((one for one in names if not one.startswith(_ANSWERS_WITHOUT_CHAT)), "openai/gpt-5-mini")
    before = len(provider.asked) if provider else 0
    answer = http.post("/v1/chat/completions", json={"model": chat, "messages": _CHAT})
    found = {"models": len(names), "asked": chat, "status": answer.status_code}
    if provider is not None and len(provider.asked) > before:
        found["provider_was_asked_for"] = str(provider.asked[-1][1].get("model") or provider.asked[-1][0])
    if answer.status_code != 200:
        found["said"] = _short(answer.json()["error"]["message"])
    return found


def gateway_case(folder: Path, name: str) -> dict[str, Any]:
    """What the gateway does with the same file and `--demo`."""
    if name == REFUSED:
        return {"starts": False}
    with running(folder, name) as http:
        return {"starts": True, **_asked(http)}


# A key that may use one model, as a database of LiteLLM's would say; without one, only a module can.
_KEYS = """\
from litellm.proxy._types import UserAPIKeyAuth

async def auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, models=["cheap"])
"""
_FALLBACKS = """\
model_list:
  - {{model_name: cheap, litellm_params: {{model: openai/cheap, api_base: "{url}/v1", api_key: none}}}}
  - {{model_name: dear, litellm_params: {{model: openai/dear, api_base: "{url}/v1", api_key: none}}}}
router_settings: {{num_retries: 0}}
litellm_settings: {{{kind}: {value}, num_retries: 0, enable_post_custom_auth_checks: true}}
general_settings: {{custom_auth: keys.auth, custom_auth_run_common_checks: true{more}}}
"""
_FAILURES = {
    "context_window_fallbacks": (400, "context_length_exceeded", "This model's maximum context length is 10 tokens"),
    "content_policy_fallbacks": (400, "content_filter", "content_policy_violation: the content policy of Azure"),
}
_OUT_OF_ORDER = (500, "server_error", "out of order")


def fallback_case(folder: Path, kind: str, provider: Provider) -> dict[str, Any]:
    """What stock LiteLLM answers to a key that may use `cheap` alone, whose fallback is `dear`."""
    setting = kind.partition(",")[0]
    status, code, words = _FAILURES.get(setting, _OUT_OF_ORDER)
    value = "[dear]" if setting == "default_fallbacks" else "[{cheap: [dear]}]"

    def failing(path: str, body: dict[str, Any]) -> Answer:
        error = {"message": words, "type": "invalid_request_error", "code": code}
        return proper(path, body) if body.get("model") == "dear" else whole({"error": error}, status)

    folder.joinpath("keys.py").write_text(_KEYS, encoding="utf-8")
    config = folder / "config.yaml"
    more = ", enforce_fallback_model_access: true" if kind == ENFORCED else ""
    text = _FALLBACKS.format(url=provider.url, kind=setting, value=value, more=more)
    config.write_text(text, encoding="utf-8")
    provider.answer = failing
    with stock(folder, config, {}, "sk-a-key") as (http, _):
        direct = http.post("/v1/chat/completions", json={"model": "dear", "messages": _CHAT})
        before = len(provider.asked)
        fallen = http.post("/v1/chat/completions", json={"model": "cheap", "messages": _CHAT})
    provider.answer = _answer
    return {
        "dear, asked directly": direct.status_code,
        "cheap, which fails": fallen.status_code,
        "provider_was_asked_for": [body["model"] for _, body in provider.asked[before:]],
    }


def _answer(path: str, body: dict[str, Any]) -> Answer:
    return proper(path.partition("?")[0], body)


def _complaints(log: Path) -> list[str]:
    """Its warnings and errors, except the one that comes at every start."""
    lines = re.findall(r"^.*(?:ERROR|WARNING).*$", log.read_text("utf-8", "replace"), re.MULTILINE)
    return list(dict.fromkeys(_short(line) for line in lines if "trusted_proxy_ranges" not in line))[:3]


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    said = [line for line in lines if re.search(r"Error|Exception|must|can't|not ", line)]
    return _short((said or lines or ["nothing said"])[-1])


def _short(text: str) -> str:
    """A line of foreign text for the table: no colours, times, ports or folders of this machine."""
    text = re.sub(r" - litellm_call_id=.*|dummy-|-0123456789abcdef", "", text)
    text = re.sub(
        r"\x1b\[[0-9;]*m|^\d\d:\d\d:\d\d - | [a-z_]+\.py:\d+ -|(?<!:/)(?<!:)/\S+/(?=[\w.-]+)",
        "",
        " ".join(text.split()),
    )
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text)
    return text if len(text) <= 160 else text[:157] + "…"


def main(names: list[str]) -> None:
    """Measure the named cases, or all, and put them into the file."""
    found = json.loads(FOUND.read_text(encoding="utf-8")) if names and FOUND.exists() else {}
    with scripted(_answer) as provider:
        for name in names or [*CONFIGS, *KINDS]:
            with TemporaryDirectory() as one, TemporaryDirectory() as other:
                if name in KINDS:
                    found[name] = fallback_case(Path(one), name, provider)
                else:
                    beside = gateway_case(Path(other), name)
                    found[name] = {"stock": stock_case(Path(one), name, provider), "gateway": beside}
            print(name, json.dumps(found[name]), flush=True)
            FOUND.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
