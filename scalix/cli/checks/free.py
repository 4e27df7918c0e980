"""`--test free`: health, models, answers, counting and refusals for a user of the free tier."""

import json
from dataclasses import dataclass, field

from scalix.cli.checks.bench import (
    CHAT_MAX_TOKENS,
    MINUTE_S,
    PRO_MODEL,
    Bench,
    chat_body,
    cheapest,
    counted_models,
    expect,
    expect_limits_in_headers,
)
from scalix.cli.checks.report import Failed, Skipped, passes
from scalix.launch.http_client import Answer

UNKNOWN_MODEL = "diagnose-no-such-model"
UNKNOWN_ROUTE = "/foo"


@dataclass
class FreeChecks:
    """The checks in their order. `user` and `model` are found by the first ones."""

    bench: Bench
    user: str = ""
    model: str = ""
    in_service: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run them all."""
        check = self.bench.report.check
        check("free", "liveliness", "200 alive", lambda: self._health("/health/liveliness", "alive"))
        check("free", "readiness", "200 ready", lambda: self._health("/health/readiness", "ready"))
        if check("free", "new user", "200 from POST /user/new", self._new_user):
            models = f"at least one model, none that is not in service, and not {PRO_MODEL}"
            if check("free", "models listed", models, self._models):
                answers = "200 with usage, and the limits of /user/info in the headers"
                check("free", "chat", answers, lambda: self.bench.in_one_window(MINUTE_S, self._chat))
                streamed = "200 in chunks up to [DONE], with x-ratelimit headers, counted in /user/info when it ends"
                check("free", "chat, streamed", streamed, lambda: self.bench.in_one_window(MINUTE_S, self._stream))
            check("free", f"{PRO_MODEL} refused", "403 naming a tier that has it", self._pro_model)
            check("free", "unknown model", "404 model_not_found", self._unknown_model)
        check("free", "missing key", "401 invalid_api_key", self._no_key)
        check("free", "unknown route", "404 route_not_found", self._no_route)

    def _health(self, path: str, status: str) -> str:
        answer = expect(self.bench.client.get(path, with_key=False), 200)
        passes(answer.field("status") == status, f"200 {answer.body[:200].decode('utf-8', 'replace')}")
        return f"200 {status}"

    def _new_user(self) -> str:
        self.user = self.bench.new_user("free")
        return f"200, {self.user}"

    def _models(self) -> str:
        self.in_service = self.bench.models()
        mine = self.bench.models(self.user)
        self.model = cheapest(mine)
        wrong = [name for name in mine if name not in self.in_service or name == PRO_MODEL]
        passes(not wrong, f"{counted_models(mine)}, of which {', '.join(wrong)} should not be there")
        return counted_models(mine)

    def _chat(self) -> str:
        answer = expect(self.bench.chat(self.user, self.model), 200)
        tokens = answer.field("usage", "total_tokens")
        if not answer.field("choices") or not isinstance(tokens, int) or tokens <= 0:
            raise Failed(f"200 without choices or usage: {answer.body[:200].decode('utf-8', 'replace')}")
        headers = expect_limits_in_headers(answer, self.bench.info(self.user))
        return f"200 from {self.model}, {tokens} tokens; {headers}"

    def _stream(self) -> str:
        before = self.bench.info(self.user)
        answer = expect(self.bench.chat(self.user, self.model, stream=True), 200)
        chunks = _chunks(answer)
        limited = any(str(entry.get("limit")).startswith("requests-") for entry in before["limits"])
        passes(not limited or "x-ratelimit-remaining-requests" in answer.headers, "200 without x-ratelimit headers")
        used, now = before["usage"], self.bench.info(self.user)["usage"]
        requests = now["requests_today"] - used["requests_today"]
        tokens = now["tokens_today"] - used["tokens_today"]
        seen = f"200, {chunks} chunks, {requests} request and {tokens} tokens counted"
        return passes(requests == 1 and tokens > 0, seen)

    def _pro_model(self) -> str:
        if self.in_service and PRO_MODEL not in self.in_service:
            raise Skipped(f"{PRO_MODEL} is not in service here")
        answer = expect(self.bench.chat(self.user, PRO_MODEL), 403, "model_not_allowed")
        tiers = answer.field("error", "scalix", "available_in") or []
        names_one = any(isinstance(tier, str) and tier in str(answer.field("error", "message")) for tier in tiers)
        passes(names_one, f"{answer.told}, which names no tier")
        return answer.told

    def _unknown_model(self) -> str:
        return expect(self.bench.chat(self.user, UNKNOWN_MODEL), 404, "model_not_found").told

    def _no_key(self) -> str:
        body = chat_body(self.user or "diagnose", self.model or UNKNOWN_MODEL, CHAT_MAX_TOKENS)
        return expect(self.bench.client.post("/v1/chat/completions", body, with_key=False), 401, "invalid_api_key").told

    def _no_route(self) -> str:
        return expect(self.bench.client.get(UNKNOWN_ROUTE), 404, "route_not_found").told


def _chunks(answer: Answer) -> int:
    """The number of chunks with choices in a stream. Raises `Failed` if the stream is not whole."""
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise Failed(f"200 with content-type {answer.headers.get('content-type')}")
    lines = answer.body.decode("utf-8", "replace").splitlines()
    events = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    if not events or events[-1] != "[DONE]":
        last = events[-1][:200] if events else "nothing"
        raise Failed(f"200, a stream of {len(events)} events that ends with {last}")
    try:
        parsed = [json.loads(event) for event in events[:-1]]
    except ValueError:
        raise Failed("200, a stream with an event that is not JSON") from None
    errors = [event["error"] for event in parsed if isinstance(event, dict) and "error" in event]
    if errors:
        raise Failed(f"200, a stream that breaks off: {json.dumps(errors[0])[:200]}")
    return sum(isinstance(event, dict) and bool(event.get("choices")) for event in parsed)
