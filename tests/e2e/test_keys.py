"""Virtual keys at the running gateway, by the clients that people have: LiteLLM's, the SDKs, the command."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import ROOT, Gateway

NewUser = Callable[..., str]
MODEL = "free-gemini-flash"


@pytest.fixture
def litellm_client(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.proxy.client import Client

    return Client(base_url=gateway.url, api_key=gateway.master_key)


def key_of(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post("/key/generate", json=fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_litellms_own_client_works_unchanged(gateway: Gateway, litellm_client: Any, new_user: NewUser) -> None:
    from litellm.proxy._types import GenerateKeyResponse
    from litellm.proxy.client.exceptions import UnauthorizedError

    keys, user, alias = litellm_client.keys, new_user("pro"), f"alias-{secrets.token_hex(4)}"
    made = keys.generate(models=["free-*"], duration="30d", key_alias=alias, user_id=user)
    GenerateKeyResponse(**made)
    with gateway.client(made["key"]) as holder:
        messages = [{"role": "user", "content": "hello"}]
        assert holder.post("/v1/chat/completions", json={"model": MODEL, "messages": messages}).status_code == 200
        with pytest.raises(UnauthorizedError):
            type(litellm_client)(base_url=gateway.url, api_key="sk-scalix-wrong").keys.list()
    info = keys.info(made["token"])["info"]
    assert (info["key_alias"], info["user_id"], info["models"], info["requests"]) == (alias, user, ["free-*"], 1)
    assert info["spend"] > 0 or info["tokens"] > 0
    listed = keys.list(user_id=user, return_full_object=True, page=1, size=5)
    assert [item["token"] for item in listed["keys"]] == [made["token"]]
    assert keys.list(key_alias=alias)["keys"] == [made["token"]]
    updated = keys.update(key=made["key"], key_alias=f"{alias}-2", models=[MODEL])
    assert (updated["key_alias"], updated["models"]) == (f"{alias}-2", [MODEL])
    assert keys.delete(key_aliases=[f"{alias}-2"])["deleted_keys"] == [made["token"]]
    with pytest.raises(Exception, match="404"):
        keys.info(made["token"])


def test_the_openai_sdk_works_with_a_key_streamed_or_not(
    gateway: Gateway, http: httpx.Client, new_user: NewUser, marker: str, demo_server: DemoServer
) -> None:
    from openai import OpenAI, PermissionDeniedError

    key = key_of(http, user_id=new_user("pro"), models=["free-*"])
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=key["key"], max_retries=0)
    messages: Any = [{"role": "user", "content": f"{marker} [[demo words=5]]"}]
    whole = client.chat.completions.create(model=MODEL, messages=messages, user="a label")
    stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [model.id for model in client.models.list()] == [
        model["id"] for model in http.get("/v1/models").json()["data"] if model["id"].startswith("free-")
    ]
    with pytest.raises(PermissionDeniedError):
        client.chat.completions.create(model="scalix-engine", messages=messages)
    info = http.get("/key/info", params={"key": key["token"]}).json()["info"]
    assert info["requests"] == 2
    log = demo_server.requests(contains=marker, settled=2)
    assert info["tokens"] == sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in log)


def test_the_anthropic_sdk_works_with_a_key(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    from anthropic import Anthropic

    key = key_of(http, user_id=new_user("pro"))
    client = Anthropic(base_url=gateway.url, api_key=key["key"], max_retries=0)
    answer = client.messages.create(model=MODEL, max_tokens=50, messages=[{"role": "user", "content": "hello"}])
    assert answer.content
    assert http.get("/key/info", params={"key": key["token"]}).json()["info"]["requests"] == 1


@pytest.mark.parametrize("route", ["chat/completions", "completions", "embeddings", "responses", "messages"])
def test_a_keys_models_hold_on_every_route(http: httpx.Client, gateway: Gateway, new_user: NewUser, route: str) -> None:
    key = key_of(http, user_id=new_user("premium"), models=["free-*"])
    texts: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 30}
    if route in ("completions", "embeddings", "responses"):
        texts = {"prompt" if route == "completions" else "input": "hi"}
    with gateway.client(key["key"]) as holder:
        for prefix in ("/v1/", "/"):
            assert holder.post(prefix + route, json={"model": MODEL, **texts}).status_code == 200
            refused = holder.post(prefix + route, json={"model": "gpt-4", **texts})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


@pytest.mark.parametrize(
    ("route", "stream"),
    [
        ("chat/completions", False),
        ("chat/completions", True),
        ("completions", False),
        ("completions", True),
        ("responses", False),
        ("responses", True),
        ("messages", False),
        ("messages", True),
    ],
)
def test_options_reach_the_models_that_have_the_features_and_no_other(
    gateway: Gateway,
    http: httpx.Client,
    new_user: NewUser,
    marker: str,
    demo_server: DemoServer,
    route: str,
    stream: bool,
) -> None:
    key = key_of(http, user_id=new_user("premium"))
    content: dict[str, Any] = {"messages": [{"role": "user", "content": marker}]}
    if route in ("completions", "responses"):
        content = {"prompt" if route == "completions" else "input": marker}
    if route == "messages":
        content["max_tokens"] = 50
    options = {"enable_lazy_edits": True, "enable_smart_context": False}
    with gateway.client(key["key"]) as holder:
        for model in ("scalix-engine", "scalix-gateway", "gpt-4", "free-claude-format"):
            body = {"model": model, "scalix_options": options, "stream": stream, **content}
            answer = holder.post(f"/v1/{route}", json=body)
            assert answer.status_code == 200, answer.text
    log = demo_server.requests(contains=marker, settled=4)
    seen = [(entry["model"], entry["body"].get("scalix_options")) for entry in log]
    assert seen == [
        ("scalix-engine", options),
        ("scalix-gateway", options),
        ("gpt-4", None),
        ("claude-3-demo", None),
    ]


def command(gateway: Gateway, *arguments: str, stdin: str = "") -> str:
    """What `scalix …` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "scalix", "--url", gateway.url, *arguments],
        env={"PATH": os.environ["PATH"], "LITELLM_MASTER_KEY": gateway.master_key, "COLUMNS": "200"},
        input=stdin,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_key_works_from_its_addresses_only_whatever_a_client_says_of_itself(gateway: Gateway) -> None:
    alias = f"office-{secrets.token_hex(4)}"
    networks = "203.0.113.0/24,2001:db8::/48"
    secret = command(gateway, "key", "generate", "--alias", alias, "--allow-ips", networks).strip()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}

    def codes() -> set[str | None]:
        with gateway.client(secret) as holder:
            answers = [holder.get("/v1/models")] + [
                holder.post("/v1/chat/completions", json=body, headers=headers)
                for headers in ({}, {"x-forwarded-for": "203.0.113.9"}, {"x-real-ip": "203.0.113.9"})
            ]
        return {answer.json().get("error", {}).get("code") for answer in answers}

    assert codes() == {"ip_blocked"}
    command(gateway, "key", "update", alias, "--allow-ips", "none", "--deny-ips", "203.0.113.0/24")
    assert codes() == {None}
    command(gateway, "key", "update", alias, "--deny-ips", "127.0.0.0/8,::1")
    assert codes() == {"ip_blocked"}
    shown = json.loads(command(gateway, "key", "info", alias, "--json"))
    assert (shown["allowed_ips"], shown["denied_ips"]) == ([], ["127.0.0.0/8", "::1/128"])
    command(gateway, "key", "delete", alias)


def test_the_command_encrypts_all_metadata_anew(gateway: Gateway, http: httpx.Client) -> None:
    key_of(http, metadata={"note": "x"})
    told = json.loads(command(gateway, "secrets", "reencrypt", "--json"))
    assert told["records"] > 0
    assert (told["reencrypted"], told["unreadable"]) == (0, [])


def test_the_command_makes_shows_changes_rotates_and_deletes_keys(gateway: Gateway) -> None:
    alias = f"cli-{secrets.token_hex(4)}"

    def run(*arguments: str, stdin: str = "") -> str:
        return command(gateway, "key", *arguments, stdin=stdin)

    secret = run("generate", "--alias", alias, "--duration", "3d", "--rpm", "50", "--max-budget", "1.5").strip()
    assert secret.startswith("sk-scalix-")
    assert alias in run("list")
    info = json.loads(run("info", alias, "--json"))
    assert (info["rpm_limit"], info["max_budget"], info["blocked"]) == (50, 1.5, False)
    assert json.loads(run("info", "-", "--json", stdin=secret))["token"] == info["token"]
    assert alias in run("expiring", "--within", "7d")
    assert alias not in run("expiring", "--within", "1d")
    assert json.loads(run("update", alias, "--rpm", "none", "--duration", "never", "--json"))["expires"] is None
    assert json.loads(run("block", alias, "--json"))["blocked"]
    assert not json.loads(run("unblock", info["token"], "--json"))["blocked"]
    fresh = run("regenerate", alias, "--grace", "1h").strip()
    assert fresh not in ("", secret)
    assert secret not in run("list", "--json")
    assert run("delete", alias) == "deleted 1 key(s)\n"
