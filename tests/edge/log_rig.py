"""The edge in this process over a real store, with its log: what each request has left in it, by the request's id."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scalix.edge.access_log import AccessLog
from scalix.edge.lifespan import Lifespan
from scalix.launch.processes.log_format import LineFormatter
from scalix.wiring.core import build_core
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.gate import Engine, build_gate
from tests.edge.fallback_rig import App, Asked, Behaviour, serve
from tests.edge.gates import MASTER_KEY, Answered, InProcess

HI = [{"role": "user", "content": "hi"}]
CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/one, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: free-limited
    litellm_params: {model: openai/two, api_key: none, rpm: 1}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
  - model_name: dear-model
    litellm_params: {model: openai/three, api_key: none}
    model_info: {max_output_tokens: 50, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}
scalix:
  default_tier: free
  tiers:
    free: {models: ["free-*"], requests: {day: 1000}, tokens: {day: 1000000}, on_store_failure: deny}
    once: {models: ["free-*"], requests: {day: 1}}
    few: {models: ["free-*"], tokens: {day: 4}}
    narrow: {models: ["free-*"], tokens: {day: 110}}
    rich: {models: ["*"], features: [lazy_edits]}
  ip_rules: {deny: ["198.51.100.0/24"]}
  overload: {in_flight: 3, queue: {requests: 0}}
  jwt:
    issuers:
      - {issuer: "https://issuer.test", audience: scalix, jwks_url: "http://127.0.0.1:9/jwks.json"}
"""


class _Kept(logging.Handler):
    def __init__(self, chunks: list[bytes]) -> None:
        super().__init__()
        self.setFormatter(LineFormatter(as_json=True))
        self._chunks = chunks

    def emit(self, record: logging.LogRecord) -> None:
        self._chunks.append(self.format(record).encode() + b"\n")


@dataclass
class Told:
    """A gateway that is asked, and its log."""

    edge: InProcess
    app: App
    access: AccessLog
    chunks: list[bytes] = field(default_factory=list)

    async def chat(self, **more: Any) -> Answered:
        """A chat completion of the user `u`, whom the app's backend names, unless `more` says otherwise."""
        body = {"model": "free-model", "user": "u", "messages": HI, **more.pop("body", {})}
        return await self.edge.call(body={name: value for name, value in body.items() if value is not None}, **more)

    async def post(self, path: str, **body: Any) -> Answered:
        """An operator's act."""
        return await self.edge.call(path=path, body=body)

    async def user(self, tier: str, **fields: Any) -> str:
        made = await self.post("/user/new", user_id=f"of-{tier}", tier=tier)
        assert made.status == 200, made.body
        if fields:
            assert (await self.post("/user/update", user_id=f"of-{tier}", **fields)).status == 200
        return f"of-{tier}"

    async def key(self, **fields: Any) -> str:
        made = await self.post("/key/generate", user_id="u", **fields)
        assert made.status == 200, made.body
        return str(made.json["key"])

    async def meanwhile(self, ask: Callable[[], Any], **held: Any) -> Answered:
        """What `ask` is answered while another request is in flight."""
        come, go = asyncio.Event(), asyncio.Event()

        async def wait(asked: Asked) -> None:
            come.set()
            await go.wait()
            await serve(asked)

        self.app.behaviours["free-model"] = [wait, serve]
        first = asyncio.create_task(self.chat(**held))
        await come.wait()
        answered: Answered = await ask()
        go.set()
        assert (await first).status == 200
        return answered

    def behaves(self, *behaviours: Behaviour) -> None:
        self.app.behaviours["free-model"] = list(behaviours)

    def lines(self, request_id: str) -> list[dict[str, Any]]:
        """The lines that name a request, once all are written."""
        self.access.close()
        lines = [json.loads(line) for chunk in self.chunks for line in chunk.splitlines()]
        ids = [str(one.get("request_id", "")).partition("~")[0] for one in lines]
        return [one for one, own in zip(lines, ids, strict=True) if own == request_id or request_id in one["message"]]

    def line(self, request_id: str) -> dict[str, Any]:
        """The one line of a request that has ended."""
        (line,) = [one for one in self.lines(request_id) if one["logger"] == "scalix.access"]
        return line


@asynccontextmanager
async def told(folder: Path, store_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """A gateway whose log is written at once."""
    monkeypatch.setattr("scalix.edge.access_log._GATHER_S", 0.0)
    path = folder / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    values = {
        "SCALIX_CONFIG": str(path),
        "SCALIX_STORE_URL": store_url,
        "SCALIX_KEY_PREFIX": prefix,
        "SCALIX_STATE_DIR": str(folder / "state"),
        "LITELLM_MASTER_KEY": MASTER_KEY,
    }
    core = build_core(values, ModelKnowledge(lambda model: model, lambda encoding, text: len(text.split())))
    app = App()

    async def nothing() -> Any:
        return {}

    chunks: list[bytes] = []
    access = AccessLog(chunks.append, "a secret", as_json=True)
    engine: Any = Engine(lambda *_: app, MASTER_KEY, nothing)
    gate = build_gate(core, engine, Lifespan(app), access=access)
    handler = _Kept(chunks)
    logging.getLogger("scalix").addHandler(handler)
    try:
        yield Told(InProcess(gate, app, core), app, access, chunks)  # type: ignore[arg-type]
    finally:
        logging.getLogger("scalix").removeHandler(handler)
        access.close()
        await core.close()
