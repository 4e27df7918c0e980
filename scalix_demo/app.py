"""The demo provider as an ASGI app: routes, directives, errors."""

import asyncio
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from scalix_demo.chat import ChunkStream, chat_answer, completion_answer
from scalix_demo.embeddings import embeddings_answer
from scalix_demo.exchange import ClientLeftError, Exchange, Receive, Scope, Send
from scalix_demo.messages import MessagesStream, messages_answer
from scalix_demo.plan import Plan, make_plan
from scalix_demo.problem import BadRequestError, error_body
from scalix_demo.prompts import read_prompt
from scalix_demo.request_log import RequestLog
from scalix_demo.responses import ResponsesStream, responses_answer
from scalix_demo.script import MARK, Attempts, Script, parse_script
from scalix_demo.stream import Stream
from scalix_demo.wishes import Wish, wish_of

ROUTES: Final = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/responses": "responses",
    "/messages": "messages",
}
MODELS: Final = ("demo-chat", "demo-embedding")
MOST_KEPT: Final = 1_000
_KEPT_AT: Final = "/responses/"


class DemoApp:
    """Answers every route of the demo provider. `defaults` applies to requests without a directive of their own."""

    def __init__(self, log: RequestLog | None = None, defaults: Script | None = None) -> None:
        self.log = log or RequestLog()
        self._defaults = defaults or Script()
        self._attempts = Attempts()
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()  # answers of `/responses`, by id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path == "/demo/requests":
            await self._show_log(scope, send)
            return
        entry = self.log.start(scope["method"], path, scope["headers"])
        exchange = Exchange(scope, receive, send, entry, self.log)
        try:
            await self._serve(path, exchange)
        except ClientLeftError:
            self.log.finish(entry, "client_left")
        except BadRequestError as problem:
            await self._error(exchange, problem.status, message=problem.message, param=problem.param)
        except asyncio.CancelledError:
            self.log.finish(entry, "shutdown")
            raise
        finally:
            # Does nothing if there is an outcome; without one the app itself has failed.
            self.log.finish(entry, "failed")
            exchange.stop()

    async def _serve(self, path: str, exchange: Exchange) -> None:
        entry = exchange.entry
        # A base URL may end in /v1 or not, and SDKs differ in adding it.
        while path.startswith("/v1/"):
            path = path[3:]
        route = ROUTES.get(path)
        if route is None:
            await self._other(path, exchange)
            return
        exchange.anthropic = route == "messages"
        if entry.method != "POST":
            raise BadRequestError(f"{entry.method} is not allowed on {entry.path}; use POST", status=405)
        raw = await exchange.body()
        self.log.received(entry, raw)
        plan, body = self._plan(route, raw, exchange)
        await self._perform(plan, body, exchange)

    def _plan(self, route: str, raw: bytes, exchange: Exchange) -> tuple[Plan, dict[str, Any]]:
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadRequestError(f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise BadRequestError("the body must be a JSON object")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise BadRequestError("model must be a non-empty string", "model")
        entry = exchange.entry
        entry.model = model
        prompt = read_prompt(route, body)
        script = self._defaults
        if MARK in raw:
            script = parse_script(prompt.texts, model, script)
        wish = Wish() if MARK in raw else wish_of(route, body)
        plan = make_plan(route, body, model, prompt, script, wish)
        entry.stream = plan.stream
        entry.prompt_tokens = plan.prompt_tokens
        return plan, body

    async def _perform(self, plan: Plan, body: dict[str, Any], exchange: Exchange) -> None:
        script, entry = plan.script, exchange.entry
        status = self._attempts.status_of(script)
        if script.delay_ms:
            await exchange.pause(script.delay_ms / 1000)
        if script.hang or (script.hang_after is not None and not plan.stream):
            await exchange.pause(None)
        if script.drop:
            exchange.close("dropped")
            return
        error = error_body(
            status if status != 200 else 500,
            anthropic=exchange.anthropic,
            message=script.error_message,
            kind=script.error_type,
            code=script.error_code,
        )
        if status != 200:
            retry = ((b"retry-after", script.retry_after.encode()),) if script.retry_after else ()
            await exchange.answer(status, orjson.dumps(error), f"error_{status}", headers=retry)
        elif plan.stream:
            self._keep(plan, body)
            await exchange.stream(plan, _stream_of(plan), error)
        elif script.error_after is not None:
            await exchange.answer(200, orjson.dumps(error), "error_event")
        elif script.empty == "1":
            await exchange.answer(200, b"", "empty")
        else:
            self._keep(plan, body)
            answer = _answer_of(plan, body)
            encoded = orjson.dumps(answer)
            entry.completion_tokens = plan.completion_tokens
            if script.cut_after is not None or script.reset_after is not None:
                await exchange.cut_answer(encoded, "reset" if script.cut_after is None else "cut")
                return
            entry.deltas = plan.total_deltas
            entry.usage = answer.get("usage")
            await exchange.answer(200, encoded, "empty" if script.empty else "complete")

    def _keep(self, plan: Plan, body: dict[str, Any]) -> None:
        if plan.route == "responses" and body.get("store") is not False:
            answer = responses_answer(plan)
            self._kept[str(answer["id"])] = {**answer, "store": True}
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    async def _kept_answer(self, ident: str, exchange: Exchange) -> None:
        """`GET` and `DELETE /v1/responses/{id}`."""
        kept = self._kept.get(ident)
        if kept is None or exchange.entry.method not in ("GET", "DELETE"):
            raise BadRequestError(f"there is no response '{ident}' here", "response_id", status=404)
        if exchange.entry.method == "DELETE":
            del self._kept[ident]
            kept = {"id": ident, "object": "response", "deleted": True}
        await exchange.answer(200, orjson.dumps(kept), "complete")

    async def _other(self, path: str, exchange: Exchange) -> None:
        if exchange.entry.method == "GET" and path == "/models":
            listed = {"object": "list", "data": [_model(name) for name in MODELS]}
            await exchange.answer(200, orjson.dumps(listed), "complete")
        elif exchange.entry.method == "GET" and path.startswith("/models/"):
            await exchange.answer(200, orjson.dumps(_model(path.removeprefix("/models/"))), "complete")
        elif exchange.entry.method == "GET" and path == "/health":  # as vLLM's and SGLang's servers have it
            await exchange.answer(200, b"", "empty")
        elif path.startswith(_KEPT_AT):
            await self._kept_answer(path.removeprefix(_KEPT_AT), exchange)
        else:
            raise BadRequestError(f"the demo provider has no {exchange.entry.method} {exchange.entry.path}", status=404)

    async def _error(self, exchange: Exchange, status: int, *, message: str, param: str | None) -> None:
        code = {404: "unknown_url", 405: "method_not_allowed"}.get(status)
        body = error_body(status, anthropic=exchange.anthropic, message=message, code=code, param=param)
        await exchange.answer(status, orjson.dumps(body), f"error_{status}")

    async def _show_log(self, scope: Scope, send: Send) -> None:
        """`GET /demo/requests`: `contains`, `since` (a seq), `bodies=0`. It is not logged itself."""
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        try:
            since = int(query.get("since", "0"))
        except ValueError:
            status, answer = 400, error_body(400, message="since must be a whole number, the seq of an entry")
        else:
            chosen = self.log.select(contains=query.get("contains", ""), since=since)
            with_body = query.get("bodies") != "0"
            status, answer = (
                200,
                {
                    "requests": [entry.as_json(with_body=with_body) for entry in chosen],
                    "last_seq": self.log.last_seq,
                    "oldest_seq": self.log.oldest_seq,
                },
            )
        body = orjson.dumps(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "demo-org"}


def _stream_of(plan: Plan) -> Stream:
    if plan.route == "responses":
        return ResponsesStream(plan)
    return MessagesStream(plan) if plan.route == "messages" else ChunkStream(plan)


def _answer_of(plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    if plan.route == "embeddings":
        return embeddings_answer(plan, body)
    answers = {
        "chat": chat_answer,
        "completions": completion_answer,
        "responses": responses_answer,
        "messages": messages_answer,
    }
    return answers[plan.route](plan)
