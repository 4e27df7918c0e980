"""Every field of OpenAI's and Anthropic's answers and events comes through to the SDK of the client's side, or stands
in a list with the reason why it does not."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.e2e import field_cases
from tests.e2e.complete_provider import stream
from tests.e2e.described_rig import CLAUDE, OPENAI, VLLM, http, provider
from tests.e2e.field_cases import Case
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Provider, whole
from tests.e2e.sdk_samples import lost

__all__ = ["http", "provider"]

# By the end of a path, why a field is not as it was sent. With a model's name: at that one alone.
EXPECTED = {
    "model": "the public name",
    "created": "LiteLLM dates the chunks of a stream itself",
    "total_tokens": "LiteLLM adds it up; the samples' figures do not",
    "sequence_number": "counted anew where an event is missing and added",
    "response.id": "LiteLLM writes the deployment into it, so that it finds it again",
    "container_id": "LiteLLM writes the deployment into it, so that it finds it again",
    f"{VLLM} system_fingerprint": "LiteLLM's reader of that format drops it",
    f"{VLLM} moderation": "OpenAI's own; LiteLLM's reader of that format drops it",
}
_CALLED = "finish_reason"  # LiteLLM says `tool_calls` of an answer with calls that has it as `stop`
_USER: Any = [{"role": "user", "content": "hi"}]
Ask = Callable[[str, dict[str, Any]], Any]


def cases() -> Iterator[tuple[str, str, Case]]:
    for model in (OPENAI, VLLM):
        for case in (*field_cases.chat_cases(), *field_cases.chunk_cases()):
            yield "chat", model, case
        for kind in ("whole", "stream"):
            for case in field_cases.text_cases(kind):
                yield "completions", model, case
    for case in (*field_cases.response_cases(), *field_cases.response_event_cases()):
        yield "responses", OPENAI, case
    for case in (*field_cases.message_cases(), *field_cases.message_event_cases()):
        yield "messages", CLAUDE, case


@pytest.fixture(scope="session")
def asks(shaped: Gateway) -> dict[str, Ask]:
    """A call of the SDK of each route. Strict, but where OpenAI's own streams break its SDK's types: a completion that
    has not ended has no finish reason."""
    strict: dict[str, Any] = {"api_key": shaped.master_key, "_strict_response_validation": True, "max_retries": 0}
    openai = OpenAI(base_url=f"{shaped.url}/v1", **strict)
    loose = OpenAI(base_url=f"{shaped.url}/v1", api_key=shaped.master_key, max_retries=0)
    anthropic = Anthropic(base_url=shaped.url, **strict)

    def completions(model: str, more: dict[str, Any]) -> Any:
        return (loose if more else openai).completions.create(model=model, prompt="hi", **_with_usage(more))

    return {
        "chat": lambda model, more: openai.chat.completions.create(model=model, messages=_USER, **_with_usage(more)),
        "completions": completions,
        "responses": lambda model, more: openai.responses.create(model=model, input="hi", **more),
        "messages": lambda model, more: anthropic.messages.create(model=model, messages=_USER, max_tokens=100, **more),
    }


def _with_usage(more: dict[str, Any]) -> dict[str, Any]:
    return {**more, "stream_options": {"include_usage": True}} if more else {}


ALL = list(cases())


@pytest.mark.parametrize(
    ("route", "model", "case"),
    ALL,
    ids=[f"{model}-{route}-{'events' if case.is_streamed else 'whole'}-{case.name}" for route, model, case in ALL],
)
def test_every_field_comes_through(
    asks: dict[str, Ask], http: httpx.Client, provider: Provider, route: str, model: str, case: Case
) -> None:
    is_streamed = case.is_streamed
    provider.answer = lambda path, body: (
        stream(case.sent, done=route in ("chat", "completions")) if is_streamed else whole(case.sent)
    )
    got = asks[route](model, {"stream": True} if is_streamed else {})
    seen = [_dumped(one) for one in got] if is_streamed else _dumped(got)
    missing = {path: value for path, value in lost(case.sent, seen).items() if not _is_expected(model, path, case)}
    assert missing == {}


def _dumped(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True)


def _is_expected(model: str, path: str, case: Case) -> bool:
    if path.endswith(_CALLED) and "tool_calls" in case.name:
        return True
    place = path.rpartition(" ")[2]
    names = [name.removeprefix(f"{model} ") for name in EXPECTED]
    own_id = place == "id" and isinstance(case.sent, dict) and case.sent.get("object") == "response"
    return own_id or any(place == name or place.endswith(f".{name}") or place.startswith(f"{name}.") for name in names)
