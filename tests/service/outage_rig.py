"""A gateway without LiteLLM, for store faults: real services, edge and store, and a provider of one function."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scalix.domain.identity.subjects import OPERATOR
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Tally
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.edge.asgi import Receive, Scope, Send, send_bytes
from scalix.edge.lifespan import Lifespan
from scalix.launch.embedded.embedded_store import EmbeddedStore
from scalix.service.audit.audit import Actor
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import Exchange
from scalix.store.base import UserRecord
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_users import UserStore
from scalix.wiring.core import Core, build_core
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.gate import Engine, build_gate

MASTER_KEY = "sk-test-master-0123456789abcdef0123456789"
CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
scalix:
  default_tier: free
  tiers:
    free: {models: ["*"], requests: {hour: 100000}, tokens: {day: 100000000}, on_store_failure: deny}
    pro: {models: ["*"], requests: {hour: 100000}, tokens: {day: 100000000}, on_store_failure: allow}
    ten: {models: ["*"], requests: {day: 10}, on_store_failure: allow}
    paid: {models: ["*"], prepaid: true, on_store_failure: allow}
"""
PROMPT = {"model": "free-model", "messages": [{"role": "user", "content": "hello"}]}
PATH = "/v1/chat/completions"
USED = Usage(7, 5)
USED_NANO_USD = 12_000


@dataclass(frozen=True)
class Reply:
    """What a client got."""

    status: int
    headers: Mapping[bytes, bytes]
    body: Any


class StoreProcess:
    """A server of one test's own, to be frozen, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "server.log").open("ab")
        self.embedded = EmbeddedStore(folder / "state", output=self._log)
        self.embedded.start()

    @property
    def url(self) -> str:
        return self.embedded.url

    def freeze(self) -> None:
        assert self.embedded.pid
        os.kill(self.embedded.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.embedded.pid
        os.kill(self.embedded.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the server at once. What it has acknowledged is on disk: up to two seconds of it need not be, which is
        the stated loss and not what the tests are about."""
        assert self.embedded.pid
        with self.admin() as client:
            client.set("t:before-the-kill", 1)
            client.execute_command("WAITAOF", 1, 0, 5_000)
        os.kill(self.embedded.pid, signal.SIGKILL)
        while self.embedded.poll() is None:
            pass

    def start_again(self) -> None:
        while self.embedded.pid is None:
            self.embedded.ensure_running()
        with self.admin() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    continue

    def admin(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def stop(self) -> None:
        if self.embedded.pid:
            self.thaw()
        self.embedded.stop()
        self._log.close()


@dataclass
class Provider:
    """The app in LiteLLM's place: answers with `USED`, and remembers the last for whom it did. Those of
    `failing` models get a provider's 500."""

    served: deque[Exchange] = field(default_factory=lambda: deque(maxlen=100))
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        exchange: Exchange = scope["scalix"]
        self.served.append(exchange)
        await self.gate.wait()
        if exchange.attempt.model in self.failing:
            exchange.attempt.asked, exchange.attempt.seen.error = True, ProviderError(500, "")
            await send_bytes(send, 500, b"{}")
            return
        exchange.attempt.usage, exchange.attempt.cost_nano_usd = USED, USED_NANO_USD
        exchange.attempt.reported.set()
        await send_bytes(send, 200, b'{"choices":[],"usage":{}}')


async def _no_check() -> None:
    pass


class World:
    """One worker: `async with World(...)` has its background jobs running."""

    def __init__(self, url: str, folder: Path, prefix: str, *, jobs: bool = True, **environ: str) -> None:
        folder.mkdir(exist_ok=True)
        config = folder / "config.yaml"
        if not config.exists():
            config.write_text(CONFIG, encoding="utf-8")
        values = {
            "SCALIX_CONFIG": str(config),
            "SCALIX_STORE_URL": url,
            "SCALIX_KEY_PREFIX": prefix,
            "SCALIX_STATE_DIR": str(folder / "state"),
            "LITELLM_MASTER_KEY": MASTER_KEY,
            **environ,
        }
        self.core: Core = build_core(values, ModelKnowledge(lambda model: model, lambda encoding, text: len(text)))
        self._users = UserStore(StoreSession(self.core.store.client, Keys(prefix)))
        self._quotas = QuotaStore(StoreSession(self.core.store.client, Keys(prefix)))
        self.provider = Provider()
        self.app = build_gate(
            self.core,
            Engine(lambda *_: self.provider, MASTER_KEY, _no_check),
            Lifespan(
                self.provider,
                every=[(pause_s / 10, job) for pause_s, job in self.core.jobs] if jobs else [],
                at_end=[self.core.close],
            ),
        )
        self._ended = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        up = asyncio.Event()
        phases = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            phase = next(phases)
            if phase == "lifespan.shutdown":
                await self._ended.wait()
            return {"type": phase}

        async def send(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                up.set()

        self._life = asyncio.create_task(self.app({"type": "lifespan"}, receive, send))
        await up.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        assert self._life
        await self._life

    async def ask(self, user: str | None, *, key: str = MASTER_KEY, beside: str | None = None, **changes: Any) -> Reply:
        """One chat completion for `user`, through the edge; `None` is the operator, or the holder of `key`. `beside` is
        a second key."""
        body = orjson.dumps({**PROMPT, **({"user": user} if user else {}), **changes})
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "server": ("127.0.0.1", 4000),
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"authorization", b"Bearer " + key.encode()),
                (b"content-type", b"application/json"),
                *([(b"x-api-key", beside.encode())] if beside else []),
            ],
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            try:
                return next(messages)
            except StopIteration:
                await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await asyncio.create_task(self.app(scope, receive, send))
        raw = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], dict(sent[0]["headers"]), orjson.loads(raw))

    async def user(self, name: str, tier: str) -> str:
        """Make a user of `tier`, known to this worker."""
        self.core.callers.users.remember(await self._users.create(UserRecord(name, tier=tier)))
        return name

    async def key(self, **fields: Any) -> str:
        """Make a virtual key; its secret."""
        made = await self.core.administration.keys.generate(fields, Actor("operator:master"))
        return str(made["key"])

    async def day(self, user: str | None) -> Tally:
        """A user's counters of today, in the store."""
        subject = f"user:{user}" if user else str(OPERATOR)
        return (await self._quotas.tallies(subject))[1].get(Window.DAY, Tally())

    async def eventually(self, holds: Callable[[], Any]) -> None:
        """Wait until `holds`; the test's own time limit ends a wait in vain."""
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)

    def call(self, request_id: str) -> Call:
        return Call(request_id, Route.CHAT, orjson.loads(orjson.dumps(PROMPT)))
