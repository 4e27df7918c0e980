"""Plain mode: the callbacks without the edge take each credential for what it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth

from scalix.litellm_adapter.bridge import Services, bridge
from scalix.litellm_adapter.callbacks import custom_auth, gateway_callbacks
from scalix.litellm_adapter.plain_callers import PlainCallers
from scalix.service.callers import THE_OPERATOR
from scalix.service.exchanges import Exchanges
from tests.service.test_token_admission import Worker
from tests.service.token_rig import MASTER

REQUEST = Request({"type": "http", "headers": []})


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker().start(tmp_path)
    unused: Any = None
    before = bridge.services
    bridge.install(Services(made.identity, made.admission, unused, Exchanges(), under_edge=False))
    yield made
    bridge._services = before


async def subject_of(auth: UserAPIKeyAuth, worker: Worker, **body: Any) -> str:
    data = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **body}
    await gateway_callbacks.async_pre_call_hook(auth, None, data, "acompletion")
    (exchange,) = worker.admission._exchanges._by_id.values()
    return str(exchange.caller.subject)


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


def test_what_is_kept_of_callers_is_bounded() -> None:
    callers = PlainCallers(most=2)
    tickets = [callers.ticket_of(THE_OPERATOR) for _ in range(3)]
    assert [callers.get(ticket) is not None for ticket in tickets] == [False, True, True]
