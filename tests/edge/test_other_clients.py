"""Clients of Azure's, Anthropic's and LiteLLM's ways, and pages in a browser, at the edge in this process."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.edge import cors
from tests.edge.gates import MASTER_KEY, InProcess, in_process

BODY = {"model": "large", "messages": [{"role": "user", "content": "hi"}]}
ORIGIN = (b"origin", b"https://app.example.com")
_OURS = re.compile(r'\(b"(x-scalix-[a-z-]+)"')
ASKS = (b"access-control-request-method", b"POST")


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/free-small/chat/completions", "free-small"),
        ("/openai/deployments/free%2Dsmall/chat/completions", "free-small"),
        ("/openai/v1/chat/completions", "large"),
        ("/v1/chat/completions/", "large"),
        ("/chat/completions/", "large"),
        ("/openai/deployments/free-small/chat/completions/", "free-small"),
    ],
)
async def test_azures_paths_and_a_slash_at_the_end_are_the_same_routes(edge: InProcess, path: str, model: str) -> None:
    answered = (
        await edge.call(path=path, body=BODY, raw_path=path.encode())
        if "%" in path
        else await edge.call(path=path, body=BODY)
    )
    assert answered.status == 200, answered.body
    assert edge.inner.bodies[-1]["model"] == model
    assert edge.inner.scopes[-1]["path"] == "/v1/chat/completions"


async def test_azures_header_is_a_credential(edge: InProcess) -> None:
    path = "/openai/deployments/free-small/chat/completions"
    right = await edge.call(path=path, body=BODY, key=None, headers=[(b"api-key", MASTER_KEY.encode())])
    assert right.status == 200
    wrong = await edge.call(path=path, body=BODY, key=None, headers=[(b"api-key", b"sk-wrong")])
    assert (wrong.status, wrong.error["code"]) == (401, "invalid_api_key")


async def test_of_two_credentials_that_of_authorization_counts_unless_both_are_right(edge: InProcess) -> None:
    keys = {}
    for user in ("ann", "bob"):
        made = await edge.call(path="/key/generate", body={"user_id": user})
        keys[user] = str(made.json["key"])
    small = {**BODY, "model": "free-small"}
    for name in (b"x-api-key", b"api-key"):
        foreign = await edge.call(body=small, key=keys["ann"], headers=[(name, b"sk-ant-somebody-elses")])
        assert foreign.status == 200, foreign.body
        same = await edge.call(body=small, key=keys["ann"], headers=[(name, keys["ann"].encode())])
        assert same.status == 200
        both = await edge.call(body=small, key=keys["ann"], headers=[(name, keys["bob"].encode())])
        assert both.status == 400
        wrong = await edge.call(body=small, key="sk-wrong", headers=[(name, keys["bob"].encode())])
        assert wrong.status == 401


async def test_a_published_master_key_beside_anothers_key_is_a_right_one_on_this_machine_only(
    tmp_path: Path, store_url: str
) -> None:
    published = "sk-scalix-dev-123456789"
    async with in_process(tmp_path, store_url, environ={"LITELLM_MASTER_KEY": published}) as edge:
        here: dict[str, Any] = {"address": "127.0.0.1", "host": b"localhost"}
        made = await edge.call(path="/key/generate", body={"user_id": "ann"}, key=published, **here)
        asked: dict[str, Any] = {"body": {**BODY, "model": "free-small"}, "key": str(made.json["key"])}
        beside = [(b"x-api-key", published.encode())]
        assert (await edge.call(**asked, headers=beside, **here)).status == 400
        assert (await edge.call(**asked, headers=beside)).status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/", "/openai/v1/messages"])
async def test_what_is_refused_by_its_headers_is_refused_in_the_shape_of_the_api(edge: InProcess, path: str) -> None:
    refused = await edge.call(path=path, body=BODY, headers=[(b"x-odd", b"a\x00b")])
    assert (refused.status, refused.json["type"], refused.error["type"]) == (400, "error", "invalid_request_error")


async def test_models_are_listed_in_the_shape_of_the_client(edge: InProcess) -> None:
    version = [(b"anthropic-version", b"2023-06-01")]
    listed = (await edge.call("GET", "/v1/models", headers=version)).json
    assert [entry["id"] for entry in listed["data"]] == ["free-small", "large"]
    assert {entry["type"] for entry in listed["data"]} == {"model"}
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("free-small", "large", False)
    one = (await edge.call("GET", "/v1/models/large", headers=version)).json
    assert (one["type"], one["display_name"]) == ("model", "large")
    missing = await edge.call("GET", "/v1/models/none", headers=version)
    assert (missing.status, missing.json["type"], missing.json["error"]["type"]) == (404, "error", "not_found_error")
    assert (await edge.call("GET", "/v1/models")).json["object"] == "list"


async def test_litellms_model_info_says_what_the_caller_may_know(edge: InProcess) -> None:
    made = await edge.call(path="/key/generate", body={"user_id": "ann"})
    for path in ("/model/info", "/v1/model/info"):
        entries = (await edge.call("GET", path, key=str(made.json["key"]))).json["data"]
        assert [entry["model_name"] for entry in entries] == ["free-small"]
        assert entries[0]["model_info"]["max_output_tokens"] == 100
        assert "api_base" not in str(entries)
        assert "openai/" not in str(entries)
    groups = (await edge.call("GET", "/model_group/info")).json["data"]
    assert [entry["model_group"] for entry in groups] == ["free-small", "large"]
    assert (await edge.call("GET", "/model/info", key="sk-wrong")).status == 401


async def test_pages_of_other_origins_read_nothing_unless_they_are_named(edge: InProcess) -> None:
    answered = await edge.call(body=BODY, headers=[ORIGIN])
    assert not [name for name in answered.headers if name.startswith("access-control")]
    assert (await edge.call("OPTIONS", "/v1/chat/completions", key=None, headers=[ORIGIN, ASKS])).status == 405


@pytest.mark.parametrize("origins", [["https://app.example.com"], ["*"]], ids=str)
async def test_a_named_origin_is_answered_before_its_key_is_asked_for(
    tmp_path: Path, store_url: str, origins: list[str]
) -> None:
    guard: dict[str, Any] = {"cors": {"origins": origins}}
    wanted = (b"access-control-request-headers", b"authorization,content-type")
    async with in_process(tmp_path, store_url, guard=guard) as edge:
        asked = await edge.call("OPTIONS", "/v1/chat/completions", key=None, headers=[ORIGIN, ASKS, wanted])
        assert (asked.status, asked.headers["access-control-allow-headers"]) == (204, "authorization,content-type")
        served = await edge.call(body=BODY, headers=[ORIGIN])
        refused = await edge.call(body=BODY, key="sk-wrong", headers=[ORIGIN])
        assert (served.status, refused.status) == (200, 401)
        for answered in (asked, served, refused):
            told = answered.headers["access-control-allow-origin"]
            assert told == ("*" if origins == ["*"] else "https://app.example.com")
            assert "access-control-allow-credentials" not in answered.headers
        other = await edge.call(body=BODY, headers=[(b"origin", b"https://evil.example")])
        assert (other.headers.get("access-control-allow-origin") == "*") == (origins == ["*"])
        assert (await edge.call("OPTIONS", "/no/such/path", key=None, headers=[ORIGIN, ASKS])).status == 404


def test_pages_may_read_every_header_of_ours() -> None:
    """But for those that speak of who may read."""
    said = {name for file in Path(cors.__file__).parent.glob("*.py") for name in _OURS.findall(file.read_text("utf-8"))}
    assert len(said) > 5
    assert said <= set(cors._EXPOSED.decode().split(", "))


async def test_of_anthropics_betas_the_listed_ones_pass_and_the_others_are_named(edge: InProcess) -> None:
    asked = b"interleaved-thinking-2025-05-14, context-1m-2025-08-07,effort-2025-11-24"
    body = {**BODY, "max_tokens": 20}
    answered = await edge.call(path="/v1/messages", body=body, headers=[(b"anthropic-beta", asked)])
    assert answered.status == 200, answered.body
    assert answered.headers["x-scalix-dropped"] == "anthropic-beta.context-1m-2025-08-07"
    sent = dict(edge.inner.scopes[-1]["headers"])
    assert sent[b"anthropic-beta"] == b"interleaved-thinking-2025-05-14,effort-2025-11-24"
    await edge.call(body=BODY, headers=[(b"anthropic-beta", asked)])
    assert b"anthropic-beta" not in dict(edge.inner.scopes[-1]["headers"])
