"""Plain mode: the callbacks without the edge take each credential for what it is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth

from scalix.domain import errors
from scalix.domain.error_statuses import status_of
from scalix.domain.identity.key_secrets import digest_of
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.quota import Admitted, Receipt
from scalix.litellm_adapter.bridge import Services, bridge
from scalix.litellm_adapter.callbacks import custom_auth, gateway_callbacks
from scalix.litellm_adapter.plain_callers import PlainCallers
from scalix.litellm_adapter.plain_mode import _http, of_the_admitted_model
from scalix.service.administration.key_administration import new_secret
from scalix.service.exchange.exchanges import Exchanges
from scalix.service.identity.callers import THE_OPERATOR
from scalix.service.identity.identity import AnonymousCallers, Identity
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.store.records.redis_keys import KeyStore
from tests.exchanges import made_exchange
from tests.service.test_token_admission import Worker
from tests.service.token_rig import MASTER
from tests.store.memory.memory_keys import MemoryKeyStore


async def a_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"{}", "more_body": False}


def request_from(address: str | None = None) -> Request:
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    scope["query_string"] = b""
    return Request(scope if address is None else {**scope, "client": (address, 1)}, a_body)


REQUEST = request_from()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker().start(tmp_path)
    unused: Any = None
    before = bridge.services
    bridge.services = Services(made.identity, made.admission, unused, Exchanges(), under_edge=False)
    yield made
    bridge.services = before


async def subject_of(auth: UserAPIKeyAuth, worker: Worker, **body: Any) -> str:
    data = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **body}
    await gateway_callbacks.async_pre_call_hook(auth, None, data, "acompletion")
    (exchange,) = worker.admission._exchanges.values()
    return str(exchange.admission.caller.subject)


async def test_a_token_is_its_user_and_may_not_name_another(worker: Worker) -> None:
    auth = await custom_auth(REQUEST, f"Bearer {worker.issuer.token()}")
    assert await subject_of(auth, worker, user="alice") == "user:a:bob"


async def test_the_master_key_may_name_a_user(worker: Worker) -> None:
    auth = await custom_auth(REQUEST, f"Bearer {MASTER}")
    assert await subject_of(auth, worker, user="alice") == "user:alice"


async def test_what_was_not_authenticated_here_is_nobody(worker: Worker) -> None:
    with pytest.raises(HTTPException, match="401"):
        await custom_auth(REQUEST, "Bearer sk-wrong")
    for metadata in ({}, {"scalix_plain_caller": "master"}, {"scalix_plain_caller": 7}):
        with pytest.raises(HTTPException, match="401"):
            await subject_of(UserAPIKeyAuth(metadata=metadata), worker)


async def test_a_key_that_is_bound_to_addresses_is_judged_by_the_connections_other_end(worker: Worker) -> None:
    secret = new_secret()
    clock = worker.clock
    keys = VirtualKeys(cast(KeyStore, MemoryKeyStore(worker.store, clock)), worker.users, now_ms=clock)
    services: Any = bridge.services
    bridge.services = replace(services, identity=Identity([keys], AnonymousCallers(worker.policy), worker.users))
    record = KeyRecord("k", "alice", digest_of(secret), secret[-4:], allowed_ips=("203.0.113.0/24",))
    await MemoryKeyStore(worker.store, clock).create(record)

    assert await custom_auth(request_from("203.0.113.7"), f"Bearer {secret}")
    for elsewhere in (request_from("198.51.100.1"), REQUEST):
        with pytest.raises(HTTPException, match="403"):
            await custom_auth(elsewhere, f"Bearer {secret}")


def test_what_is_kept_of_callers_is_bounded() -> None:
    callers = PlainCallers(most=2)
    tickets = [callers.ticket_of(THE_OPERATOR) for _ in range(3)]
    assert [callers.get(ticket) is not None for ticket in tickets] == [False, True, True]


@pytest.mark.parametrize("kind", errors.GatewayError.__subclasses__())
def test_each_error_has_the_same_status_with_and_without_the_edge(kind: type[errors.GatewayError]) -> None:
    error = kind("no")
    assert _http(error).status_code == status_of(error)


def test_what_was_admitted_is_asked_and_nothing_that_a_deployment_names_in_its_place() -> None:
    """A fallback of LiteLLM's router, or a model that it asks beside another (`silent_model`), comes this way too."""
    admitted = Admitted(Receipt("r", "user:a", 0, 1, 1, False), {}, 1)
    exchange = made_exchange(admitted=admitted, model="cheap")
    kwargs = {"model": "openai/x", "metadata": {"model_group": "cheap"}, "fallbacks": ["dear"], "stream": True}
    assert of_the_admitted_model(exchange, kwargs).keys() == {"model", "metadata", "stream"}
    for name in ("metadata", "litellm_metadata"):
        with pytest.raises(errors.ModelNotAllowed):
            of_the_admitted_model(exchange, {"model": "openai/y", name: {"model_group": "dear"}})
