"""Operators' bodies and answers are as docs/openapi.yaml describes them, by the answers of a gateway."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scalix.domain.health_checks import HealthChecks, Verdict
from scalix.domain.identity.subjects import shard_of
from scalix.edge import gate
from scalix.edge.model_routes import MODEL_ROWS
from scalix.edge.routes import ROWS
from scalix.edge.rows import Access, Row
from scalix.service.audit.audit import Actor
from scalix.store.connection.deadline import grant_store_time
from scalix.store.records.redis_health import HealthStore
from tests.edge.described import answer_schema, body_schema, check_answer, unseen
from tests.edge.gates import MASTER_KEY, InProcess, in_process

PATIENCE_MS = 60_000.0
USER = {"user_id": "ann"}
# A body that each route takes, by its path; the key is filled in.
SENT: dict[str, dict[str, Any]] = {
    "/key/generate": {**USER, "max_budget": 5, "key_alias": "first"},
    "/key/update": {"key": "…", "rpm_limit": 10},
    "/key/block": {"key": "…"},
    "/key/unblock": {"key": "…"},
    "/key/regenerate": {"key": "…", "grace_period": "1h"},
    "/key/{key}/regenerate": {},
    "/key/delete": {"keys": ["…"]},
    "/user/new": {"user_id": "bob", "tier": "free", "limits": {"requests": {"day": 5}}, "auto_create_key": False},
    "/user/update": {**USER, "blocked": False, "metadata": {"a": 1}, "user_email": "a@example.com"},
    "/user/delete": {"user_ids": ["bob"]},
    "/user/limits": {
        **USER,
        "limits": {"requests": {"hour": {"limit": 3, "enforce": False}, "day": 5}, "concurrent": None},
    },
    "/user/reset": {**USER, "windows": ["requests-day"]},
    "/user/credit": {**USER, "amount_usd": "25.00", "credit_id": "invoice-1"},
    "/scalix/v1/me/keys": {"name": "laptop", "duration": "30d"},
    "/scalix/v1/me/keys/{key}": {"name": "desk"},
    "/scalix/v1/me/keys/{key}/rotate": {"grace_period": "1h"},
    "/scalix/v1/login-link": {**USER, "path": "/me"},
    "/scalix/v1/tokens/revoke": {**USER, "jti": "one", "exp": 1},
    "/scalix/v1/secrets/reencrypt": {},
    "/scalix/v1/merge": {**USER, "address": "192.0.2.1"},
    "/scalix/v1/ledger/repair": {"dry_run": True},
    "/scalix/v1/ledger/archive": {"after_days": 30},
}
WITH_BODY = {row.path: row for row in ROWS if row.body is not None}


@pytest.fixture
async def edge(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    # On a busy machine a page of records may take longer than a request waits for the store.
    monkeypatch.setattr(gate, "grant_store_time", partial(grant_store_time, PATIENCE_MS))
    environ = {"SCALIX_ENCRYPTION_KEY": "A" * 43 + "="}
    async with in_process(tmp_path, store_url, environ=environ) as edge:
        yield edge


def test_every_route_with_a_body_has_a_model_whose_fields_are_described() -> None:
    assert WITH_BODY.keys() == SENT.keys()
    for row in WITH_BODY.values():
        assert body_schema(row.method, row.path)["properties"], row.path


@pytest.mark.parametrize("path", sorted(SENT))
def test_a_body_that_is_taken_is_one_of_those_described(path: str) -> None:
    jsonschema.validate(SENT[path], body_schema(WITH_BODY[path].method, path))


def wrong_bodies(row: Row[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Bodies without a field that must be there, or with a field of another kind."""
    schema = body_schema(row.method, row.path)
    for name in schema.get("required", ()):
        yield {key: value for key, value in SENT[row.path].items() if key != name}, name
    if row.body is not None and row.body.refuses_unknown:
        yield {**SENT[row.path], "unknown": 1}, "unknown"


async def user_of(edge: InProcess) -> tuple[str, str]:
    """A key of a user's, and one that the user has made with it."""
    key = str((await edge.call(path="/key/generate", body=USER)).json["key"])
    made = await edge.call(path="/scalix/v1/me/keys", body={"name": "phone"}, key=key)
    return key, str(made.json["key"])


async def test_a_body_that_is_not_as_described_is_refused_and_the_field_named(edge: InProcess) -> None:
    users, _ = await user_of(edge)
    for path, row in WITH_BODY.items():
        for body, name in wrong_bodies(row):
            refused = await edge.call(row.method, path, body, key=users if row.access is Access.USERS else MASTER_KEY)
            assert (refused.status, refused.error["param"]) == (400, name), (path, body)


# What is not JSON of the gateway's own: numbers for Prometheus, and providers' answers that are passed on.
PASSED_ON = {"/metrics", "/v1/responses/{id}"}
ANSWERING = [row for row in ROWS if row.path not in PASSED_ON]
OF_ANN = (
    *("/user/info", "/user/limits", "/user/balance", "/scalix/v1/usage", "/scalix/v1/usage/events"),
    *("/scalix/v1/reports/user", "/scalix/v1/reports/key"),
)
QUERIES = {
    **dict.fromkeys(OF_ANN, "user_id=ann"),
    "/key/info": "key={key}",
    "/key/list": "return_full_object=true",
    "/scalix/v1/ledger/export": f"shard={shard_of('user:ann')}",
}
CHAT = {"model": "free-small", "messages": [{"role": "user", "content": "hello"}]}
COUNTED: dict[str, dict[str, Any]] = {
    "/v1/messages/count_tokens": {**CHAT, "max_tokens": 5},
    "/v1/responses/input_tokens": {"model": "free-small", "input": "hello"},
}
# Requests as above, of which the gateway that is asked has had some already.
ANEW = {"/user/new": {"user_id": "cid"}, "/key/generate": {**USER, "duration": "1d"}}
# Fields of lists that are empty here; those of an archive are looked at in test_ledger_over_http.py, and what is `left`
# has the type of the differences; attempts are in test_requests_over_http.py, limits of a week before in
# tests/store/test_today.py.
EMPTY = (".archived.", ".left.", ".requests_in_flight.", ".attempts.", ".after_limit_hits.")


async def _fail() -> None:
    raise ConnectionError


async def filled(edge: InProcess) -> str:
    """Lets the gateway know users with limits, balances, use, acts and a counter that is wrong; the secret of a key."""
    key = str((await edge.call(path="/key/generate", body=SENT["/key/generate"])).json["key"])
    for method, path in (("POST", "/user/new"), ("PUT", "/user/limits"), ("POST", "/user/credit")):
        assert (await edge.call(method, path, SENT[path])).status == 200
    for _ in range(4):  # one more than a limit that is not enforced
        assert (await edge.call(body={**CHAT, "user": "ann"})).status == 200
    assert (await edge.call(body=CHAT, key=key)).status == 200
    assert (await edge.call(body=CHAT, key=key)).status == 429
    edge.inner.before = _fail
    assert (await edge.call(body={**CHAT, "user": "dan"})).status >= 500
    edge.inner.before = None
    link = (await edge.call(path="/scalix/v1/login-link", body=SENT["/scalix/v1/login-link"])).json["path"]
    await edge.core.callers.sign_ins.enter(link.partition("#")[2], Actor("ann", "", "203.0.113.7"))
    session = edge.core.store.session
    name = session.names.windows("user:ann")
    (field,) = [one for one in await session.hgetall(name) if one.startswith("d")]
    await edge.core.store.client.hset(name, field, "41 1 1 0 0 0")
    policy = edge.core.policy
    policy.replace(replace(policy.current, health_checks=HealthChecks(60, {"free-small": 5})))
    verdict = Verdict(is_failing=True, reason="it can't be reached")
    await HealthStore(session).note("free-small", verdict, next_ms=(60_000, 60_000), keep_ms=60_000)
    return key


def request_to(row: Row[Any], key: str) -> tuple[str, dict[str, Any] | None, bytes]:
    """The path, the body and the query of a request to a row."""
    path, query = row.path, QUERIES.get(row.path, "").replace("{key}", key)
    for name, value in (("{key}", sha256(key.encode()).hexdigest()), ("{user}", "ann"), ("{id}", "free-small")):
        path = path.replace(name, value)
    body = {**SENT, **COUNTED, **ANEW}.get(row.path)
    if body is not None and row.path.startswith("/key/"):
        body = {name: {"key": key, "keys": [key]}.get(name, value) for name, value in body.items()}
    return path, None if row.method == "GET" else body, query.encode()


@pytest.mark.parametrize("row", ANSWERING, ids=lambda row: f"{row.method} {row.path}")
async def test_an_answer_has_what_is_described_and_nothing_else(edge: InProcess, row: Row[Any]) -> None:
    key: str | None = await filled(edge)
    users, own = await user_of(edge) if row.access is Access.USERS else (key, key)
    path, body, query = request_to(row, str(own))
    if "{request}" in path:
        found = await edge.call("GET", "/scalix/v1/requests", None, query=b"limit=1", key=MASTER_KEY)
        path = path.replace("{request}", found.json["requests"][0]["id"])
    # Who is nobody is told of the gateway's health, and LiteLLM's own check is of another process.
    key = None if row.path == "/health" else users if row.access is Access.USERS else MASTER_KEY
    answer = await edge.call(row.method, path, body, query=query, key=key)
    # LiteLLM is never up here.
    assert answer.status == (503 if row.path == "/health/readiness" else 200), (row.path, answer.body)
    check_answer(row.method, row.path, answer.json)
    schema = answer_schema(row.method, row.path)
    assert not [one for one in unseen(schema, [answer.json]) if not one.startswith(EMPTY)]


async def test_anthropics_clients_get_models_as_it_is_described(edge: InProcess) -> None:
    for row in MODEL_ROWS[:2]:
        path = row.path.replace("{id}", "free-small")
        answer = await edge.call("GET", path, headers=[(b"anthropic-version", b"2023-06-01")])
        check_answer("GET", row.path, answer.json)
        assert "object" not in answer.json


async def test_a_key_is_told_of_its_own_use_as_it_is_described(edge: InProcess) -> None:
    key = await filled(edge)
    for path in ("/scalix/v1/usage", "/scalix/v1/usage/events", "/key/info"):
        answer = (await edge.call("GET", path, key=key)).json
        check_answer("GET", path, answer)
        assert not set(unseen(answer_schema("GET", path), [answer]))


def test_an_answer_with_another_field_or_without_one_is_not_as_described() -> None:
    answer = {"removed": {"events": 3}}
    for wrong in ({}, {**answer, "more": 1}, {"removed": {"events": "3"}}):
        with pytest.raises(jsonschema.ValidationError):
            check_answer("POST", "/scalix/v1/retention/run", wrong)
    check_answer("POST", "/scalix/v1/retention/run", answer)
