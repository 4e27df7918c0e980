"""The whole edge in this process, over a real store, around a tiny app in LiteLLM's place."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from ruamel.yaml import YAML

from scalix.edge.lifespan import Lifespan
from scalix.edge.traces import Traces
from scalix.wiring.core import Core, build_core
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.gate import Engine, build_gate

MASTER_KEY = "sk-in-process-master-0123456789abcdef0123456789"
CONFIG: dict[str, Any] = {
    "model_list": [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": "${DEMO_ROOT}", "api_key": "${DEMO_KEY}"},
            "model_info": {"max_output_tokens": 100, "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
        }
        for name in ("free-small", "large")
    ],
    "scalix": {
        "default_tier": "free",
        "tiers": {
            "free": {"models": ["free-*"], "requests": {"day": 1_000_000}, "priority": "low", "self_service_keys": 9},
            "tiny": {"models": ["free-*"], "requests": {"day": 1}},
            "premium": {"models": ["*"], "priority": "high"},
        },
    },
}
Headers = Iterable[tuple[bytes, bytes]]
NO_VARIABLES: Mapping[str, str] = {}


@dataclass
class Answered:
    """What came back, and what the inner app was given."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    was_at_once: bool = False

    @property
    def error(self) -> dict[str, Any]:
        return dict(orjson.loads(self.body)["error"])

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class InnerApp:
    """Answers every call as a provider would, and keeps what it was sent. `before` is awaited first."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.bodies: list[Any] = []
        self.before: Callable[[], Awaitable[object]] | None = None
        self._changed = asyncio.Condition()

    async def has(self, calls: int) -> None:
        """Return when this many calls have come."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.scopes) >= calls)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        self.scopes.append(scope)
        self.bodies.append(orjson.loads(body))
        async with self._changed:
            self._changed.notify_all()
        if self.before:
            await self.before()
        answer = orjson.dumps(
            {
                "id": "x",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
            }
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"set-cookie", b"provider=1"),
            (b"openai-organization", b"org-canary"),
            (b"x-litellm-model-api-base", b"https://canary"),
            (b"x-ratelimit-limit-requests", b"77777"),
            (b"llm_provider-x", b"canary"),
            (b"server", b"uvicorn"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@dataclass
class InProcess:
    """A gate to be called."""

    gate: Any
    inner: InnerApp
    core: Core

    async def call(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        body: bytes | dict[str, Any] | None = None,
        *,
        key: str | None = MASTER_KEY,
        headers: Headers = (),
        address: str | None = "203.0.113.7",
        query: bytes = b"",
        raw_path: bytes | None = None,
        host: bytes | None = b"gateway.example.com",
        receive: Callable[[], Awaitable[Any]] | None = None,
        at_once: bool = True,
        connection: dict[str, Any] | None = None,
    ) -> Answered:
        """One request. `headers` come after those for the host and the key. As the server does, the gate is asked for a
        refusal first, unless `at_once` is false."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        sent = [(b"host", host)] if host is not None else []
        if key is not None:
            sent.append((b"authorization", b"Bearer " + key.encode()))
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogateescape") if raw_path is None else raw_path,
            "query_string": query,
            "headers": [*sent, *headers],
            "client": (address, 5000) if address else None,
            "server": ("127.0.0.1", 4000),
            "state": {},
        }
        if connection is not None:
            scope["scalix.connection"] = connection
        answered = Answered()
        if at_once and method == "POST" and path in self.gate.refusable_paths and not query and receive is None:
            refused = self.gate.refuse_at_once(scope, raw)
            if refused is not None:
                answered.status, answered.body, given = refused
                answered.headers = {name.decode(): value.decode() for name, value in given}
                answered.was_at_once = True
                return answered
        messages = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive_whole() -> Any:
            if messages:
                return messages.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert not answered.status, "two answers"
                answered.status = message["status"]
                answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answered.body += message.get("body", b"")

        await self.gate(scope, receive or receive_whole, send)
        return answered

    async def chat(self, **options: Any) -> Answered:
        """A request that is let in, unless `options` say otherwise."""
        options.setdefault(
            "body", {"model": "free-small", "user": "u", "messages": [{"role": "user", "content": "hi"}]}
        )
        return await self.call(**options)


@asynccontextmanager
async def in_process(
    folder: Path,
    store_url: str,
    *,
    guard: dict[str, Any] | None = None,
    inner: Any = None,
    environ: Mapping[str, str] = NO_VARIABLES,
    traces: Traces | None = None,
) -> AsyncIterator[InProcess]:
    """A gate with `guard` added to its `scalix:` section, around `inner` or an `InnerApp`; its requests are told to
    `traces`."""
    path = folder / f"config-{secrets.token_hex(4)}.yaml"
    config = {**CONFIG, "scalix": {**CONFIG["scalix"], **(guard or {})}}
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(config, file)
    environment = {
        "SCALIX_CONFIG": str(path),
        "SCALIX_STORE_URL": store_url,
        "SCALIX_KEY_PREFIX": f"t-{secrets.token_hex(6)}:",
        "SCALIX_STATE_DIR": str(folder),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "DEMO_ROOT": "http://127.0.0.1:9",
        "DEMO_KEY": "sk-in-process-provider",
        **environ,
    }
    core = build_core(environment, ModelKnowledge(lambda model: model, lambda encoding, text: len(text.split())))
    inner = inner or InnerApp()

    async def check_models() -> Any:
        return {}

    gate = build_gate(
        core,
        Engine(lambda *_: inner, MASTER_KEY, check_models),
        Lifespan(inner),
        traces=traces,
    )
    try:
        yield InProcess(gate, inner, core)
    finally:
        await core.close()


class AsServed(httpx.ASGITransport):
    """Has each request to an app of this process in a task of its own, as a server has: what one was granted, such as
    time of the store, is not the next one's."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await asyncio.create_task(super().handle_async_request(request))
