"""Secrets and users' texts, planted everywhere, are in no log, no error answer and no key or value of the store."""

import itertools
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import redis

from tests.demo_server import DemoServer
from tests.e2e.gateways import JWT_SECRET, MASTER_KEY, PROVIDER_KEY, SECRET_ISSUER, Gateway
from tests.launch.running import eventually
from tests.service.token_issuer import TokenIssuer

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages")
# What a provider says, with what it was sent in it: whole, in the middle of a stream, before its first byte.
DIRECTIVES = (
    "words=2",
    "status=400 error_message={echo}",
    "status=401 error_message={echo}",
    "status=429 error_message={echo}",
    "status=500 error_message={echo}",
    "error_after=1 error_message={echo}",
    "cut_after=1",
    "drop=1",
    "empty=1",
    "usage=string",
)


class Canaries:
    """Texts that are nowhere else in the world."""

    def __init__(self) -> None:
        name = secrets.token_hex(6)
        self.prompt = f"prompt-canary-{name}"
        self.bearer = f"sk-canary-bearer-{name}"
        self.other = f"canary-other-{name}"
        self.issuer = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time()))
        self.token = self.issuer.token(sub=f"user-{name}")
        self.bad_token = self.token[:-4] + "AAAA"

    @property
    def all(self) -> tuple[str, ...]:
        return (self.prompt, self.bearer, self.other, self.token, self.bad_token, PROVIDER_KEY, MASTER_KEY, JWT_SECRET)

    def found_in(self, text: str) -> list[str]:
        """The canaries that are in a text, by their first letters."""
        return [canary for canary in self.all if canary in text]


def bodies(canaries: Canaries, user: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests of every route, and of the two usual ones all kinds, streamed and not."""
    for path, directive, stream in itertools.product(PATHS, DIRECTIVES, (False, True)):
        usual = path in ("/v1/chat/completions", "/v1/messages")
        if not usual and (stream or directive not in DIRECTIVES[:5]):
            continue
        script = directive.format(echo=f"{canaries.prompt}_{PROVIDER_KEY}")
        text = f"{canaries.prompt} [[demo {script}]]"
        messages = [{"role": "system", "content": canaries.prompt}, {"role": "user", "content": text}]
        content: dict[str, Any] = {"messages": messages}
        if path.endswith("messages"):
            content = {"messages": messages[1:], "system": canaries.prompt, "max_tokens": 20}
        elif path.endswith("/completions") and "chat" not in path:
            content = {"prompt": text}
        elif path.endswith(("embeddings", "responses")):
            content = {"input": text}
        yield path, {"model": "gpt-4", "user": user, **content, **({"stream": True} if stream else {})}


def refused(canaries: Canaries) -> Iterator[dict[str, Any]]:
    """Requests that go nowhere, with something secret in each part."""
    chat = {"model": "gpt-4", "messages": [{"role": "user", "content": canaries.prompt}]}
    for key in (canaries.bearer, canaries.bad_token):
        yield {"headers": {"authorization": f"Bearer {key}"}, "json": chat}
        yield {"headers": {"x-api-key": key}, "json": chat}
        yield {"headers": {"authorization": f"Basic {key}"}, "json": chat}
    good = {"authorization": f"Bearer {MASTER_KEY}"}
    yield {"headers": good, "json": {**chat, "api_key": canaries.bearer}}
    yield {"headers": good, "content": b'{"model": "gpt-4", ' + canaries.prompt.encode()}
    yield {"headers": good, "json": {**chat, "messages": {"x": canaries.prompt}}}
    yield {"headers": good, "json": {**chat, "messages": [{"role": canaries.other, "content": canaries.prompt}]}}
    yield {"headers": good, "json": {**chat, "temperature": canaries.prompt}}
    yield {"headers": good, "json": {**chat, "tools": [{"type": "function", "function": canaries.prompt}]}}
    yield {"headers": good, "json": {**chat, "metadata": {"secret": canaries.other}}}
    yield {"headers": {**good, "x-api-key": canaries.bearer}, "json": chat}
    yield {"headers": {**good, "x-litellm-tags": canaries.other, "cookie": canaries.other}, "json": chat}
    yield {"headers": good, "json": chat, "params": {"api_key": canaries.bearer}}
    part = {"type": "image_url", "image_url": {"url": f"http://10.0.0.1/{canaries.other}"}}
    yield {"headers": good, "json": {"model": "gpt-4", "messages": [{"role": "user", "content": [part]}]}}


def whole_store(gateway: Gateway) -> Iterator[str]:
    """Every key of the gateway's store, with its value."""
    readers: dict[str, Any] = {
        "string": lambda client, key: client.get(key),
        "hash": lambda client, key: client.hgetall(key),
        "list": lambda client, key: client.lrange(key, 0, -1),
        "set": lambda client, key: client.smembers(key),
        "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
        "stream": lambda client, key: client.xrange(key),
    }
    (path,) = gateway.state_dir.rglob("*.sock")
    with redis.Redis(unix_socket_path=str(path)) as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key).decode()
            yield f"{key!r} {readers[kind](client, key)!r}"


def whole_log(gateway: Gateway) -> str:
    """The log, with the lines of all requests so far, which come in bundles."""
    with gateway.client() as operator:
        last = operator.get("/v1/models").headers["x-request-id"]
    eventually(lambda: last in gateway.log_text(), "the last request in the log")
    return gateway.log_text()


def places_of(gateway: Gateway, user: str) -> list[tuple[str, str]]:
    """The log and the store as texts, of which the latter has the user of what was sent."""
    store = "\n".join(whole_store(gateway))
    assert user in store
    return [("log", whole_log(gateway)), ("store", store)]


@dataclass
class Planted:
    """What was sent of whom, and where it has turned up in an answer."""

    canaries: Canaries
    user: str
    leaks: list[str]


@pytest.fixture(scope="module")
def planted(gateway: Gateway) -> Planted:
    """Everything secret that there is, sent by every route."""
    canaries, user, leaks = Canaries(), f"user-{secrets.token_hex(6)}", list[str]()
    with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as client:
        good = {"authorization": f"Bearer {MASTER_KEY}"}
        assert client.post("/user/new", json={"user_id": user, "tier": "premium"}, headers=good).status_code == 200
        for path, body in bodies(canaries, user):
            try:
                answer = client.post(path, json=body, headers=good)
            except httpx.RemoteProtocolError:
                continue
            failed = answer.status_code >= 400 or "error" in answer.text
            # A provider's refusal of what the client sent is passed on to that client, without secrets.
            own = {canaries.prompt} if answer.status_code == 400 else set()
            if failed and (found := set(canaries.found_in(answer.text)) - own):
                leaks.append(f"{path} {body.get('stream')} {answer.status_code}: {found} in {answer.text[:300]}")
            leaks += [f"header {name}" for name, value in answer.headers.items() if canaries.found_in(value)]
        for request in refused(canaries):
            for path in ("/v1/chat/completions", "/v1/messages", "/user/new"):
                answer = client.post(path, **request)
                if answer.status_code >= 400 and (found := set(canaries.found_in(answer.text))):
                    leaks.append(f"{path}: {found} in {answer.text[:300]}")
        client.get(f"/v1/models/{canaries.bearer}")
        client.get("/user/info", params={"user_id": "x", "key": canaries.bearer})
        client.get("/v1/models", headers={"authorization": f"Bearer {canaries.token}"})
    return Planted(canaries, user, leaks)


def test_nothing_planted_turns_up_in_logs_errors_or_the_store(
    gateway: Gateway, planted: Planted, demo_server: DemoServer
) -> None:
    canaries, leaks = planted.canaries, planted.leaks
    assert demo_server.requests(contains=canaries.prompt, bodies=False), "the canaries reached the provider"
    for place, text in places_of(gateway, planted.user):
        for line in text.splitlines():
            if found := set(canaries.found_in(line)):
                leaks.append(f"{place}: {found} in {line[:400]}")
    assert not leaks, "\n".join(leaks[:20])


@pytest.mark.usefixtures("planted")
def test_no_stack_trace_is_in_the_log(gateway: Gateway) -> None:
    text = whole_log(gateway)
    assert text.count("access POST /v1/") > 20
    assert "Traceback (most recent call last)" not in text


def test_no_virtual_key_and_no_metadata_turns_up_in_logs_errors_or_the_store(gateway: Gateway) -> None:
    name = secrets.token_hex(6)
    note = f"canary-metadata-{name}"
    leaks: list[str] = []
    with gateway.client() as operator:
        made = operator.post("/key/generate", json={"user_id": f"user-{name}", "metadata": {"note": note}}).json()
        operator.post("/user/update", json={"user_id": f"user-{name}", "metadata": {"note": note}})
        rotated = operator.post(f"/key/{made['key']}/regenerate", json={"grace_period": "1h"}).json()
        operator.post("/key/update", json={"key": rotated["key"], "metadata": {"again": note}})
        planted = (made["key"], rotated["key"], note)
        shown = operator.get("/key/info", params={"key": rotated["key"]})
        assert note in shown.text
        answers = [
            shown,
            operator.get("/key/list", params={"user_id": f"user-{name}", "return_full_object": "true"}),
            operator.get("/key/list", params={"key_alias": rotated["key"]}),
            operator.get("/scalix/v1/audit", params={"limit": "1000"}),
            operator.post("/key/generate", json={"key_alias": rotated["key"]}),
            operator.post("/key/generate", json={"metadata": note}),
            operator.post("/key/generate", json={"allowed_ips": [rotated["key"]]}),
            operator.post("/key/generate", json={"duration": rotated["key"]}),
            operator.post("/key/update", json={"key": rotated["key"], "user_id": "other"}),
            operator.post("/key/update", json={"key": rotated["key"] + "x"}),
            operator.post("/key/delete", json={"keys": [rotated["key"] + "x"]}),
            operator.post("/key/block", json={"key": [rotated["key"]]}),
            operator.post(f"/key/{rotated['key']}/regenerate", content=b"{" + rotated["key"].encode()),
            operator.get(f"/key/{rotated['key']}"),
        ]
    chat = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
    for key in (made["key"], rotated["key"]):
        with gateway.client(key) as holder:
            answers += [holder.post("/v1/chat/completions", json=chat), holder.get("/key/list"), holder.get("/health")]
            answers.append(holder.post("/v1/chat/completions", json={**chat, "key": key}))
    with gateway.client() as operator:
        operator.post("/key/block", json={"key": rotated["token"]})
        with gateway.client(rotated["key"]) as holder:
            answers.append(holder.post("/v1/chat/completions", json=chat))
        operator.post("/key/delete", json={"keys": [rotated["token"]]})
        with gateway.client(rotated["key"]) as holder:
            answers.append(holder.post("/v1/chat/completions", json=chat))
    # An alias that looks like a key is told in no error; metadata only where an operator asks for it.
    for answer in answers:
        hidden = planted if answer.status_code >= 400 else planted[:2]
        leaks += [
            f"{answer.request.url.path} {answer.status_code}: {text[:12]}" for text in hidden if text in answer.text
        ]
    for place, text in places_of(gateway, f"user-{name}"):
        leaks += [f"{place}: {line[:300]}" for line in text.splitlines() if any(word in line for word in planted)]
    assert not leaks, "\n".join(leaks[:20])
