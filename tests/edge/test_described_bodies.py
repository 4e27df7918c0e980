"""Operators' bodies and answers are as docs/openapi.yaml describes them, by the answers of a gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scalix.edge.routes import ROWS
from scalix.edge.rows import Row
from tests.edge.gates import InProcess, in_process
from tools.route_docs import given_by, openapi

MOST_TRIES = 10
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
    "/user/limits": {**USER, "limits": {"requests": {"hour": {"limit": 3, "enforce": False}}, "concurrent": None}},
    "/user/reset": {**USER, "windows": ["requests-day"]},
    "/user/credit": {**USER, "amount_usd": "25.00", "credit_id": "invoice-1"},
    "/scalix/v1/tokens/revoke": {**USER, "jti": "one", "exp": 1},
    "/scalix/v1/secrets/reencrypt": {},
    "/scalix/v1/merge": {**USER, "address": "192.0.2.1"},
    "/scalix/v1/ledger/repair": {"dry_run": True},
    "/scalix/v1/ledger/archive": {"after_days": 30},
}
WITH_BODY = {row.path: row for row in ROWS if row.body is not None}


def described(row: Row[Any]) -> dict[str, Any]:
    return dict(openapi()["paths"][row.path][row.method.lower()])


def body_schema(row: Row[Any]) -> Any:
    return described(row)["requestBody"]["content"]["application/json"]["schema"]


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> Any:
    environ = {"SCALIX_ENCRYPTION_KEY": "A" * 43 + "="}
    async with in_process(tmp_path, store_url, environ=environ) as edge:
        yield edge


def test_every_route_with_a_body_has_a_model_whose_fields_are_described() -> None:
    assert WITH_BODY.keys() == SENT.keys()
    for row in WITH_BODY.values():
        assert body_schema(row)["properties"], row.path


@pytest.mark.parametrize("path", sorted(SENT))
def test_a_body_that_is_taken_is_one_of_those_described(path: str) -> None:
    jsonschema.validate(SENT[path], body_schema(WITH_BODY[path]))


def wrong_bodies(row: Row[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Bodies without a field that must be there, or with a field of another kind."""
    schema = body_schema(row)
    for name in schema.get("required", ()):
        yield {key: value for key, value in SENT[row.path].items() if key != name}, name
    if row.body is not None and row.body.refuses_unknown:
        yield {**SENT[row.path], "unknown": 1}, "unknown"


async def test_a_body_that_is_not_as_described_is_refused_and_the_field_named(edge: InProcess) -> None:
    for path, row in WITH_BODY.items():
        for body, name in wrong_bodies(row):
            refused = await edge.call(row.method, path, body)
            assert (refused.status, refused.error["param"]) == (400, name), (path, body)


async def test_every_answer_that_is_described_is_so(edge: InProcess) -> None:
    key = (await edge.call(path="/key/generate", body=SENT["/key/generate"])).json["key"]
    assert (await edge.call(path="/user/new", body=SENT["/user/new"])).status == 200
    assert (await edge.call(body={"model": "free-small", "user": "ann", "messages": [{"role": "user"}]})).status == 200
    rows = [row for row in ROWS if given_by(row) is not None]
    assert len(rows) >= 8
    for row in rows:
        schema = described(row)["responses"]["200"]["content"]["application/json"]["schema"]
        body = SENT.get(row.path)
        if row.path == "/key/delete":
            body = {"keys": [key]}
        query = b"user_id=ann" if "user_id" in row.query else b""
        for _ in range(MOST_TRIES):  # a page of records may take longer than a request waits, on a busy machine
            answered = await edge.call(row.method, row.path, body, query=query)
            if answered.status != 503:
                break
        assert answered.status == 200, (row.path, answered.body)
        jsonschema.validate(answered.json, schema)
        assert schema["properties"]
