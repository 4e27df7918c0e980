"""The log of whole gateways, as an operator reads it: from their start to their end, for people and for programs."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import PROVIDER_KEY, Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole

CANARY = "canary words of a prompt about purple elephants"
LEAK = f"the key {PROVIDER_KEY} can't be used for {CANARY}"
SAID = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
BROKEN = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}\n\n'
FAILURES = {
    "down": whole({"error": {"message": f"The disk is full. {LEAK}"}}, 500),
    "busy": whole({"error": {"message": f"Slow down please. {LEAK}"}}, 429),
    "locked": whole({"error": {"message": f"Your account was closed. {LEAK}"}}, 401),
    "judged": whole({"error": {"message": f"Bad temperature. {LEAK}"}}, 400),
    "empty": Answer(200, (b"null",)),
    "broken": Answer(200, (BROKEN,), (("content-type", "text/event-stream"),)),
}
# Of each kind of failure: status, code and outcome of the request's line, the class, and words of the reason.
LINES = {
    "down": (503, "provider_unavailable", "provider_failed", "provider_down", "The disk is full"),
    "busy": (503, "provider_unavailable", "provider_failed", "provider_rate_limit", "Slow down please"),
    "locked": (503, "provider_unavailable", "provider_failed", "auth", "Your account was closed"),
    "judged": (400, "provider_refused", "provider_refused", "bad_request", "Bad temperature"),
    "empty": (503, "provider_unavailable", "provider_failed", "provider_down", ""),
}
ENGINES = ("direct", "litellm")


def answered(path: str, body: dict[str, Any]) -> Answer:
    return FAILURES.get(str(body.get("model")).rpartition("-")[2], whole(SAID))


def models(provider: Provider) -> list[dict[str, Any]]:
    return [
        {
            "model_name": f"{engine}-{name}",
            "litellm_params": {
                "model": f"openai/x-{name}",
                "api_base": f"{provider.url}/v1",
                "api_key": "${TEST_PROVIDER_KEY}",
            },
            "model_info": {"max_output_tokens": 100, "engine": engine},
        }
        for engine in ENGINES
        for name in (*FAILURES, "well", "saved")
    ]


class Log:
    """A gateway's log, once it has ended, and what a client saw before."""

    def __init__(self, gateway: Gateway, provider: Provider) -> None:
        self.gateway, self.provider = gateway, provider
        self.answers: dict[str, httpx.Response] = {}

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.gateway.log_text().splitlines()]

    def of(self, name: str) -> list[dict[str, Any]]:
        told = self.answers[name].headers["x-request-id"]
        return [line for line in self.lines if str(line.get("request_id", "")).partition("~")[0] == told]

    def ask(self, http: httpx.Client, name: str, model: str, text: str = CANARY, **more: Any) -> None:
        body = {"model": model, "user": "alice", "messages": [{"role": "user", "content": text}], **more}
        head = {"x-request-id": name} if name.startswith("own-") else {}
        self.answers[name] = http.post("/v1/chat/completions", json=body, headers=head)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    with scripted(answered) as provider:
        listed = models(provider)
        prices = {one["model_name"]: {"input_usd_per_million": 1, "output_usd_per_million": 1} for one in listed}
        section = {
            "retries": {"same_model": 0},
            "prices": {"models": prices},
            "default_tier": "all-models",
            "fallbacks": {f"{engine}-down": [f"{engine}-well"] for engine in ENGINES},
            "cooldown": {"seconds": 0},
        }
        gateway = Gateway(
            tmp_path_factory.mktemp("log"),
            provider.url,
            section=section,
            models=listed,
            extra={"SCALIX_LOG_FORMAT": "json"},
        ).start()
        log = Log(gateway, provider)
        try:
            with gateway.client() as http:
                for engine in ENGINES:
                    for name in (*LINES, "well"):
                        log.ask(http, f"{engine} {name}", f"{engine}-{name}")
                    log.ask(http, f"{engine} broken", f"{engine}-broken", stream=True)
                log.ask(http, "own-id.7", "direct-well")
                log.ask(http, "unknown", "no-such-model")
                events = http.get("/scalix/v1/usage/events", params={"user_id": "alice"})
                log.answers["events"] = events
            log.answers["wrong key"] = httpx.get(f"{gateway.url}/v1/models", headers={"authorization": "Bearer x"})
        finally:
            gateway.stop()
        yield log


def test_every_line_is_one_object_and_a_start_is_few_of_them(log: Log) -> None:
    lines = log.lines
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert all({"process", "level", "logger", "message"} <= line.keys() for line in lines)
    first = next(at for at, line in enumerate(lines) if "method" in line)
    own = [line for line in lines[:first] if line["logger"] not in ("settings", "config", "models")]
    assert len(own) <= 15
    text = log.gateway.log_text()
    assert not [word for word in ("Give Feedback", "Set models", "Thank you for using", "\\u001b") if word in text]


def test_no_key_and_no_prompt_is_in_it(log: Log) -> None:
    text = log.gateway.log_text()
    assert PROVIDER_KEY not in text
    assert not [word for word in ("purple", "elephants", "canary words") if word in text]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [name for name in LINES if name != "down"])
def test_a_failure_has_its_reason_under_the_id_that_the_client_has(log: Log, engine: str, name: str) -> None:
    status, code, outcome, error_class, reason = LINES[name]
    failure, request = log.of(f"{engine} {name}")
    assert (request["status"], request["code"], request["outcome"]) == (status, code, outcome)
    assert (request["error_class"], failure["error_class"]) == (error_class, error_class)
    assert (failure["provider"], failure["engine"], failure["message"]) == ("openai", engine, f"{engine}-{name} failed")
    assert reason in failure["reason"]
    assert failure["level"] == ("INFO" if name == "judged" else "WARNING")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failure_that_a_fallback_saved_has_its_line_too(log: Log, engine: str) -> None:
    failure, request = log.of(f"{engine} down")
    assert (request["status"], request["outcome"], request["served"]) == (200, "success", f"{engine}-well")
    assert "The disk is full" in failure["reason"]
    assert failure["status"] == 500


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_that_breaks_off_is_told_with_the_code_that_its_last_event_had(log: Log, engine: str) -> None:
    failure, request = log.of(f"{engine} broken")
    assert (request["status"], request["code"]) == (200, "provider_unavailable")
    assert request["outcome"] == "provider_broke"
    assert failure["error_class"] == request["error_class"]


def test_refusals_have_their_code(log: Log) -> None:
    assert [(line["status"], line["code"]) for line in log.of("unknown")] == [(404, "model_not_found")]
    assert [(line["status"], line["code"]) for line in log.of("wrong key")] == [(401, "invalid_api_key")]


@pytest.mark.parametrize("name", ["direct well", "litellm well", "own-id.7"])
def test_one_id_is_in_the_answer_the_log_the_ledger_and_the_providers_request(log: Log, name: str) -> None:
    told = log.answers[name].headers["x-request-id"]
    assert told == name or not name.startswith("own-")
    (request,) = log.of(name)
    kept = [event["id"] for event in log.answers["events"].json()["events"]]
    assert request["request_id"] in kept
    assert told in [head.get("x-client-request-id") for head in log.provider.heads]
