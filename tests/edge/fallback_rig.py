"""The edge with three models, fallbacks and cooldowns, over a real store, around an app that fails as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Charge, Receipt, Settled
from scalix.domain.requests.model_fields import EVERYTHING, KnownFields
from scalix.domain.tokens.usage import Usage
from scalix.edge.asgi import Receive, Scope, Send, send_bytes
from scalix.edge.lifespan import Lifespan
from scalix.service.exchange.attempts import Failure, ProviderError
from scalix.service.exchange.exchanges import Exchange
from scalix.wiring.core import Core, build_core
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.gate import Engine, build_gate
from tests.edge.gates import AsServed
from tests.service.outage_rig import MASTER_KEY

CONFIG = """
model_list:
  - model_name: free-one
    litellm_params: {model: openai/one, api_key: none}
    model_info: {max_output_tokens: 100, max_input_tokens: 1000, input_cost_per_token: 0.000001,
                 output_cost_per_token: 0.000001}
  - model_name: best
    litellm_params: {model: openai/best, api_key: none}
    model_info: {max_output_tokens: 100, max_input_tokens: 5000, input_cost_per_token: 0.000001,
                 output_cost_per_token: 0.000001}
  - model_name: free-two
    litellm_params: {model: openai/two, api_key: none}
    model_info: {max_output_tokens: 50, max_input_tokens: 1000, input_cost_per_token: 0.000001,
                 output_cost_per_token: 0.000001}
  - model_name: alone
    litellm_params: {model: openai/alone, api_key: none}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
scalix:
  default_tier: free
  tiers:
    free: {models: ["free-*", alone], tokens: {day: 1000000}}
    premium: {models: ["*"], tokens: {day: 1000000}}
  fallbacks: {free-one: [best, free-two], best: [free-one, free-two]}
"""
ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5},
}
USED = Usage(7, 5)

Behaviour = Callable[["Asked"], Awaitable[None]]


@dataclass
class Asked:
    """One call of the app in LiteLLM's place."""

    scope: Scope
    receive: Receive
    send: Send
    body: dict[str, Any]
    exchange: Exchange


async def serve(asked: Asked) -> None:
    """A proper answer."""
    asked.exchange.attempt.asked = True
    asked.exchange.attempt.usage = USED
    asked.exchange.attempt.reported.set()
    if asked.body.get("stream"):
        headers = [(b"content-type", b"text/event-stream")]
        await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
        event = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
        await asked.send({"type": "http.response.body", "body": event, "more_body": True})
        await asked.send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
    else:
        await send_bytes(asked.send, 200, orjson.dumps(ANSWER))


def fail(status: int, message: str = "", kind: str = "", retry_after_s: int | None = None) -> Behaviour:
    """A provider's HTTP error, as the transport notes it and LiteLLM passes it on."""

    async def failing(asked: Asked) -> None:
        asked.exchange.attempt.asked = True
        asked.exchange.attempt.seen.error = ProviderError(status, message, retry_after_s, kind)
        await send_bytes(asked.send, status, orjson.dumps({"error": {"message": message}}))

    return failing


async def crash(asked: Asked) -> None:
    """LiteLLM's app raises, after the provider was asked."""
    asked.exchange.attempt.asked = True
    raise RuntimeError("canary-of-a-crash")


async def untranslatable(asked: Asked) -> None:
    """LiteLLM fails before it has asked anybody, as it says it of what it can't translate."""
    message = "litellm.APIConnectionError: 'str' object has no attribute 'get'"
    failure = Failure(500, "APIConnectionError", message, None, ErrorClass.NETWORK, by_content=True)
    asked.exchange.attempt.failures.append(failure)
    await send_bytes(asked.send, 500, orjson.dumps({"error": {"message": message}}))


async def empty(asked: Asked) -> None:
    """A 200 with nothing in it."""
    asked.exchange.attempt.asked = True
    await send_bytes(asked.send, 200, b"null")


async def hang(asked: Asked) -> None:
    """Nothing, until somebody has had enough."""
    asked.exchange.attempt.asked = True
    await asyncio.Event().wait()


async def break_off(asked: Asked) -> None:
    """A stream that says something and then fails."""
    asked.exchange.attempt.asked = True
    headers = [(b"content-type", b"text/event-stream")]
    await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
    event = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    await asked.send({"type": "http.response.body", "body": event, "more_body": True})
    await asked.send({"type": "http.response.body", "body": b'data: {"error": {"message": "gone"}}\n\n'})


@dataclass
class App:
    """The app in LiteLLM's place. `behaviours` by model; a list is gone through, its last stays."""

    behaviours: dict[str, list[Behaviour]] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = orjson.loads((await receive())["body"])
        self.bodies.append(body)
        behaviours = self.behaviours.get(body["model"], [serve])
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        await behaviour(Asked(scope, receive, send, body, scope["scalix"]))

    @property
    def asked(self) -> list[str]:
        return [body["model"] for body in self.bodies]


@dataclass
class Edge:
    """One worker, with a clock of its own."""

    core: Core
    app: App
    http: httpx.AsyncClient
    charges: list[tuple[Receipt, Charge]]
    exchanges: list[Exchange]
    config: Path

    async def ask(
        self, model: str = "free-one", *, user: str = "u", path: str = "/v1/chat/completions", **more: Any
    ) -> httpx.Response:
        body: dict[str, Any] = {"model": model, "user": user}
        if path.endswith(("/chat/completions", "/messages")):
            body["messages"] = [{"role": "user", "content": "hi"}]
        else:
            body["prompt" if path.endswith("/completions") else "input"] = "hi"
        if path.endswith("/messages"):
            body["max_tokens"] = 60
        return await self.http.post(path, json={**body, **more})

    async def premium(self) -> str:
        answer = await self.http.post("/user/new", json={"user_id": "rich", "tier": "premium"})
        assert answer.status_code == 200, answer.text
        return "rich"


@asynccontextmanager
async def edge(
    folder: Path,
    url: str,
    prefix: str,
    config: str = CONFIG,
    name: str = "one",
    known: KnownFields = lambda model, route: EVERYTHING,
) -> AsyncIterator[Edge]:
    """A worker of a gateway with `config`. Several with one `prefix` share their store."""
    path = folder / "config.yaml"
    path.write_text(config, encoding="utf-8")
    core = build_core(
        {
            "SCALIX_CONFIG": str(path),
            "SCALIX_STORE_URL": url,
            "SCALIX_KEY_PREFIX": prefix,
            "SCALIX_STATE_DIR": str(folder / name),
            "LITELLM_MASTER_KEY": MASTER_KEY,
        },
        ModelKnowledge(lambda model: model, lambda encoding, text: len(text.split()), known=known),
    )
    app = App()

    async def nothing() -> Any:
        return {}

    gate: Any = build_gate(
        core,
        Engine(lambda *_: app, MASTER_KEY, nothing),
        Lifespan(app),
    )
    charges: list[tuple[Receipt, Charge]] = []
    exchanges: list[Exchange] = []
    store: Any = core.exchange.settlement._store
    settle, added = store.settle, core.exchange.exchanges.add

    async def noting(receipt: Receipt, charge: Charge) -> Settled:
        charges.append((receipt, charge))
        settled: Settled = await settle(receipt, charge)
        return settled

    def adding(exchange: Exchange) -> None:
        exchanges.append(exchange)
        added(exchange)

    store.settle = noting
    core.exchange.exchanges.add = adding  # type: ignore[method-assign]
    http = httpx.AsyncClient(
        transport=AsServed(gate),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {MASTER_KEY}"},
    )
    try:
        yield Edge(core, app, http, charges, exchanges, path)
    finally:
        await http.aclose()
        await core.close()
