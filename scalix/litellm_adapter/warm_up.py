"""Takes LiteLLM's app through one answer and one stream before the gateway is ready, without the network.

LiteLLM imports, compiles and opens much at its first request: without this the first client would wait a second for it.
"""

import asyncio
import logging
import secrets
from typing import Any

import orjson

from scalix.domain.limits.limits import UNLIMITED
from scalix.domain.limits.quota import FREE_OF_CHARGE, Admitted, Receipt
from scalix.domain.requests.routes import Route
from scalix.service.exchange.exchanges import Exchange
from scalix.service.identity.callers import THE_OPERATOR

log = logging.getLogger("scalix.warm_up")

LONGEST_S = 10.0


async def warm_up(app: Any, model: str, internal_token: str) -> None:
    """Ask LiteLLM's started `app` for mock answers of `model`. Whatever goes wrong is noted, and does no harm."""
    for body in ({}, {"stream": True}):
        asked = {"model": model, "messages": [{"role": "user", "content": "hello"}], "mock_response": "hello", **body}
        try:
            async with asyncio.timeout(LONGEST_S):
                await _ask(app, orjson.dumps(asked), internal_token)
        except Exception as error:
            log.warning("the first request will be slow, warming up failed: %s", type(error).__name__)
            return
    await asyncio.to_thread(_open_what_clients_share)


async def _ask(app: Any, body: bytes, internal_token: str) -> None:
    exchange = _unmetered()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "root_path": "",
        "query_string": b"",
        "client": None,
        "server": None,
        "state": {},
        "headers": [
            (b"host", b"scalix"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"authorization", b"Bearer " + internal_token.encode()),
        ],
        # What `custom_auth` believes. No exchange of this id is in flight, so nothing is charged.
        "scalix": exchange,
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    ended = asyncio.Event()

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            log.warning("warming up was answered with %d, so the first request will be slow", message["status"])

    try:
        await app(scope, receive, send)
    finally:
        ended.set()


def _unmetered() -> Exchange:
    request_id = f"warm-up-{secrets.token_hex(8)}"
    receipt = Receipt(request_id, str(THE_OPERATOR.subject), 0, 0, 0, False)
    admitted = Admitted(receipt, {}, 0)
    return Exchange(
        request_id,
        THE_OPERATOR,
        Route.CHAT,
        "",
        False,
        limits=UNLIMITED,
        admitted=admitted,
        prices=FREE_OF_CHARGE,
        mocked=True,
    )


def _open_what_clients_share() -> None:
    """The certificates that every provider's client trusts take 50 ms to read."""
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    get_ssl_configuration()
