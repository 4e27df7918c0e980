"""One person's data in the whole gateway: after an erasure it is in no key of the store and in no file."""

import gzip
import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.test_audit import scalix
from tests.e2e.test_canaries import whole_store
from tests.launch.running import eventually


def ask(client: httpx.Client, marker: str, **fields: object) -> httpx.Response:
    body = {"model": "free-gemini-flash", "messages": [{"role": "user", "content": marker}], "max_tokens": 20, **fields}
    return client.post("/v1/chat/completions", json=body)


def contents(gateway: Gateway) -> Iterator[tuple[Path, bytes]]:
    """Every file of the gateway: state, journals, store, logs, config."""
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            try:
                content = path.read_bytes()
                yield path, gzip.decompress(content) if path.suffix == ".gz" else content
            except FileNotFoundError:
                continue


def files_with(gateway: Gateway, signs: list[str]) -> list[str]:
    return [f"{path.name}: {sign}" for path, content in contents(gateway) for sign in signs if sign.encode() in content]


def keys_with(gateway: Gateway, signs: list[str]) -> list[str]:
    return [f"{text[:80]}: {sign}" for text in whole_store(gateway) for sign in signs if sign in text]


@pytest.fixture
def store(gateway: Gateway) -> psutil.Process:
    (process,) = [child for child in gateway.launcher().children(recursive=True) if "valkey" in child.name()]
    return process


def test_after_an_erasure_no_key_and_no_file_holds_the_user(
    gateway: Gateway, http: httpx.Client, store: psutil.Process, marker: str
) -> None:
    user = f"{secrets.token_hex(6)}@canary.example"
    path = f"/scalix/v1/users/{quote(user, safe='')}"
    made = {"user_id": user, "tier": "pro", "user_email": user, "auto_create_key": False}
    assert http.post("/user/new", json=made).status_code == 200
    assert http.put("/user/limits", json={"user_id": user, "limits": {"requests": {"day": 900}}}).status_code == 200
    merged = {"user_id": user, "address": f"2001:db8:{secrets.token_hex(2)}::7"}
    assert http.post("/scalix/v1/merge", json=merged).status_code == 200
    alias = f"laptop of {user}"
    key = http.post("/key/generate", json={"user_id": user, "key_alias": alias}).json()
    old = http.post("/key/generate", json={"user_id": user}).json()["key"]
    new = http.post("/key/regenerate", json={"key": old, "grace_period": "1h"}).json()["key"]
    with gateway.client(key["key"]) as theirs, gateway.client(new) as rotated, gateway.client("sk-wrong") as stranger:
        assert ask(theirs, marker).status_code == 200
        assert "[DONE]" in ask(rotated, marker, stream=True).text
        assert ask(theirs, marker, model="gpt-4").status_code == 403
        # What is used while the store is away goes through the journal, a file that names the user.
        store.suspend()
        try:
            assert ask(theirs, marker).status_code == 200
            assert stranger.get(f"{path}/export").status_code in (401, 503)
        finally:
            store.resume()
    eventually(lambda: http.post("/key/block", json={"key": new}).status_code == 200, "the store to be used again")
    with gateway.client(new) as blocked:
        assert ask(blocked, marker).status_code == 403

    def settled() -> bool:
        return len(http.get(f"{path}/export").json()["events"]) == 3

    eventually(settled, "all three requests in the ledger")
    exported = http.get(f"{path}/export").json()
    ids = [one["key_id"] for one in exported["keys"]]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (key["key"], old, new, user, f"user:{user}")]
    signs = [user, user.partition("@")[0], key["key"], old, new, *digests, *ids, "laptop of", merged["address"][:-3]]
    assert key["key"] not in json.dumps(exported)
    assert user in str(keys_with(gateway, [user]))
    assert user in str(files_with(gateway, [user]))

    done = scalix(gateway, "user", "erase", user, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["erased"]["keys"] == 2
    assert answer["store_files"] == {"append_only_file": "rewritten", "snapshot": "none"}
    assert keys_with(gateway, signs) == []
    # The server removes its old files when it has nothing else to do.
    eventually(lambda: files_with(gateway, signs) == [], "the files to be without the user")
    assert keys_with(gateway, signs) == []
    assert http.get(f"{path}/export").status_code == 404
    verified = scalix(gateway, "audit", "verify")
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "no entry was removed or changed")


def test_the_command_line_exports_erases_and_removes_what_is_old(gateway: Gateway, http: httpx.Client) -> None:
    user = f"user-{secrets.token_hex(6)}"
    assert http.post("/user/new", json={"user_id": user, "consent": {"usage_details": False}}).status_code == 200
    exported = scalix(gateway, "user", "export", user)
    assert (exported.returncode, json.loads(exported.stdout)["consent"]) == (0, {"usage_details": False})
    erased = scalix(gateway, "user", "erase", user)
    assert (erased.returncode, f"{user} is erased" in erased.stdout) == (0, True)
    unknown = scalix(gateway, "user", "export", user)
    assert (unknown.returncode, "is not known" in unknown.stderr) == (1, True)
    ran = scalix(gateway, "retention", "run", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert set(json.loads(ran.stdout)["removed"]) == {
        "audit_entries",
        "expired_keys",
        "dead_pointers",
        "credits",
        "archive_files",
        "set_aside_files",
        "books",
    }


def test_a_user_who_refuses_details_has_events_with_figures_alone(
    gateway: Gateway, http: httpx.Client, marker: str
) -> None:
    found = {}
    for answer in (True, False):
        user = f"user-{secrets.token_hex(6)}"
        http.post("/user/new", json={"user_id": user, "tier": "pro", "consent": {"usage_details": answer}})
        assert "[DONE]" in ask(http, marker, user=user, stream=True).text
        (found[answer],) = http.get(f"/scalix/v1/users/{user}/export").json()["events"]
    told, untold = found[True], found[False]
    assert (told["streamed"], untold["streamed"]) == (True, False)
    assert told["latency_ms"] > 0
    assert told["first_token_ms"] is not None
    assert (untold["latency_ms"], untold["first_token_ms"]) == (0, None)
    assert [untold[name] for name in ("model", "served", "tokens")] == ["free-gemini-flash"] * 2 + [told["tokens"]]
